// SPDX-License-Identifier: BSD-3-Clause
// Signature patterns as Hyperscan databases: compiled here, carried in the image as bytes, opened
// again by whoever scans. The only place, with what scans, that knows Hyperscan.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "config/policy_abi.h"

struct hs_database;

namespace surgegate {

// patterns[pattern], or all of them together where pattern is fault_of_set.
struct PatternFault {
  size_t pattern = 0;
  std::string what;  // in Hyperscan's words
};

inline constexpr size_t fault_of_set = SIZE_MAX;

// The serialized database of these patterns, for block mode and for the processor that compiles; a
// match reports the pattern's position. Patterns of the user agent ignore case, as people write
// agents in any; those of all other fields do not. Every pattern is reported at most once a scan
// (HS_FLAG_SINGLEMATCH). All refused patterns are named, also those that match the empty text,
// which would match everything.
tl::expected<std::vector<uint8_t>, std::vector<PatternFault>> compile_patterns(
    std::span<const std::string> patterns, sg_field field);

// The same without the database.
std::vector<PatternFault> check_patterns(std::span<const std::string> patterns, sg_field field);

struct SignatureDatabaseDeleter {
  void operator()(hs_database* database) const;
};
using SignatureDatabase = std::unique_ptr<hs_database, SignatureDatabaseDeleter>;

// Of an image's bytes (sg_database): memory of its own, so the image may go. Immutable: any number
// of threads may scan with it, each with a scratch of its own. Fails where the bytes are damaged,
// or were compiled by another Hyperscan or for instructions that this processor lacks.
tl::expected<SignatureDatabase, std::string> open_database(std::span<const uint8_t> bytes);

// Whether these bytes are what compile_patterns() would make them here and now, as far as version
// and processor go.
bool is_database_of_this_host(std::span<const uint8_t> bytes);

}  // namespace surgegate
