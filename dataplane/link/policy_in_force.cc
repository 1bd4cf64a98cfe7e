// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/link/policy_in_force.h"

#include <algorithm>

namespace surgegate {

tl::expected<std::unique_ptr<PolicyInForce>, std::string> PolicyInForce::make(ImageBytes bytes) {
  std::unique_ptr<PolicyInForce> policy(new PolicyInForce);
  policy->bytes_ = std::move(bytes);
  auto image = ImageView::open(policy->bytes_);
  if (!image) return tl::unexpected(image.error());
  policy->image_ = *image;
  policy->read_lists();
  policy->read_header_names();
  policy->read_refusals();
  std::string fault = policy->restore_databases();
  if (!fault.empty()) return tl::unexpected(fault);
  return policy;
}

PolicyInForce::~PolicyInForce() {
  for (hs_database_t* database : databases_) hs_free_database(database);
}

// A list in mode `count` neither denies nor exempts: it is only counted. Those that a source can be
// in come first.
void PolicyInForce::read_lists() {
  uint64_t bit = 1;
  for (const sg_list& list : image_.lists()) {
    if (list.is_key_list) break;
    if (sg_list_acts(&list)) counted_mask_ |= bit;
    if (list.mode == SG_ENFORCE) {
      enforced_mask_ |= bit;
      if (sg_list_denies(&list)) deny_mask_ |= bit;
      if (list.exempt_limits) exempt_limits_mask_ |= bit;
      if (list.exempt_signatures) exempt_signatures_mask_ |= bit;
    }
    bit <<= 1;
  }
  for (const sg_client_rule& rule : image_.clients()) proxy_mask_ |= 1ull << rule.list;
}

void PolicyInForce::read_header_names() {
  std::array<std::string_view, SG_KEY_HEADERS_MAX> names{};
  size_t count = 0;
  for (const sg_text& name : image_.key_headers()) names[count++] = image_.text(name);
  header_names_ = HeaderNames(names);
}

std::string PolicyInForce::restore_databases() {
  for (const sg_database& database : image_.databases()) {
    auto bytes = image_.database_bytes().subspan(database.bytes_first, database.bytes_count);
    hs_database_t* restored = nullptr;
    hs_error_t error = hs_deserialize_database(reinterpret_cast<const char*>(bytes.data()),
                                               bytes.size(), &restored);
    if (error != HS_SUCCESS)
      return "a signature database in the image cannot be restored (Hyperscan error " +
             std::to_string(error) + "); compile the policy on this kind of machine";
    databases_.push_back(restored);
  }
  return {};
}

const sg_client_rule* PolicyInForce::client_rule(uint64_t lists) const {
  if (!is_shared_proxy(lists)) return nullptr;
  for (const sg_client_rule& rule : image_.clients())
    if (lists >> rule.list & 1) return &rule;
  return nullptr;
}

void PolicyInForce::read_refusals() {
  for (const sg_response& response : image_.responses())
    refusals_.push_back({static_cast<uint32_t>(response.id), &response, nullptr});
  for (const sg_limit& limit : image_.limits())
    if (limit.over_response != SG_NONE16)
      refusals_.push_back(
          {static_cast<uint32_t>(limit.id), &image_.responses()[limit.over_response], &limit});
  std::stable_sort(refusals_.begin(), refusals_.end(),
                   [](const Refusal& a, const Refusal& b) { return a.low_id < b.low_id; });
}

const PolicyInForce::Refusal* PolicyInForce::refusal(uint32_t low_id) const {
  auto found = std::lower_bound(refusals_.begin(), refusals_.end(), low_id,
                                [](const Refusal& r, uint32_t id) { return r.low_id < id; });
  return found != refusals_.end() && found->low_id == low_id ? &*found : nullptr;
}

}  // namespace surgegate
