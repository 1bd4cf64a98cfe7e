// SPDX-License-Identifier: BSD-3-Clause
// A policy image made ready for the journey: validated, its Hyperscan databases restored, what
// every packet asks of it computed once. Made by the supervisor, then immutable; a
// worker goes over to it between two polls.
#pragma once

#include <hs/hs.h>

#include <memory>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "config/image.h"
#include "dataplane/path/http_head.h"

namespace surgegate {

class PolicyInForce {
 public:
  // Takes the bytes over. The error says what is wrong with the image.
  static tl::expected<std::unique_ptr<PolicyInForce>, std::string> make(ImageBytes bytes);
  ~PolicyInForce();
  PolicyInForce(const PolicyInForce&) = delete;
  PolicyInForce& operator=(const PolicyInForce&) = delete;

  const ImageView& image() const { return image_; }
  const HeaderNames& header_names() const { return header_names_; }

  // Lists (bits of a source's mask) by what they do. Those of counted_mask deny or exempt, or would
  // if they were not in mode `count`; those of enforced_mask do.
  uint64_t counted_mask() const { return counted_mask_; }
  uint64_t enforced_mask() const { return enforced_mask_; }
  uint64_t deny_mask() const { return deny_mask_; }
  uint64_t exempt_limits_mask() const { return exempt_limits_mask_; }
  uint64_t exempt_signatures_mask() const { return exempt_signatures_mask_; }

  // Whether a source with this list mask speaks for others; and the rule by which.
  bool is_shared_proxy(uint64_t lists) const { return (lists & proxy_mask_) != 0; }
  const sg_client_rule* client_rule(uint64_t lists) const;

  // What refuses: a limit with its response, or a response by itself.
  struct Refusal {
    uint32_t low_id;  // the low half of the limit's id, or of the response's
    const sg_response* response;
    const sg_limit* limit;  // nullptr: none
  };
  // The one with this low_id, or nullptr.
  const Refusal* refusal(uint32_t low_id) const;

  std::span<hs_database_t* const> databases() const { return databases_; }

 private:
  PolicyInForce() = default;
  void read_lists();
  void read_header_names();
  void read_refusals();
  std::string restore_databases();

  ImageBytes bytes_;
  ImageView image_;
  HeaderNames header_names_;
  uint64_t counted_mask_ = 0;
  uint64_t enforced_mask_ = 0;
  uint64_t deny_mask_ = 0;
  uint64_t exempt_limits_mask_ = 0;
  uint64_t exempt_signatures_mask_ = 0;
  uint64_t proxy_mask_ = 0;
  std::vector<Refusal> refusals_;  // by low_id
  std::vector<hs_database_t*> databases_;
};

}  // namespace surgegate
