// SPDX-License-Identifier: BSD-3-Clause
#include "config/signatures.h"

#include <hs/hs.h>

#include <cstdlib>

namespace surgegate {
namespace {

unsigned flags_of(sg_field field) {
  return HS_FLAG_SINGLEMATCH | (field == SG_FIELD_USER_AGENT ? HS_FLAG_CASELESS : 0u);
}

struct Refusal {
  int pattern = -1;
  std::string what;
};

tl::expected<SignatureDatabase, Refusal> compile_all(std::span<const std::string> patterns,
                                                     unsigned flags) {
  std::vector<const char*> texts;
  std::vector<unsigned> ids;
  for (const std::string& pattern : patterns) {
    ids.push_back(static_cast<unsigned>(texts.size()));
    texts.push_back(pattern.c_str());
  }
  const std::vector<unsigned> all_flags(texts.size(), flags);
  hs_database_t* database = nullptr;
  hs_compile_error_t* error = nullptr;
  const hs_error_t result = hs_compile_multi(texts.data(), all_flags.data(), ids.data(),
                                             static_cast<unsigned>(texts.size()), HS_MODE_BLOCK,
                                             nullptr, &database, &error);
  if (result == HS_SUCCESS) return SignatureDatabase(database);
  Refusal refusal{-1, "Hyperscan refuses the patterns and does not say why"};
  if (error) refusal = {error->expression, error->message};
  hs_free_compile_error(error);
  return tl::unexpected(refusal);
}

std::string refused_alone(const std::string& pattern, unsigned flags) {
  // A pattern travels as a C string: what stands behind a NUL would be dropped unseen.
  if (pattern.find('\0') != std::string::npos) return "a NUL byte; write \\x00";
  auto database = compile_all({&pattern, 1}, flags);
  return database ? std::string() : database.error().what;
}

std::vector<PatternFault> faults_one_by_one(std::span<const std::string> patterns, unsigned flags) {
  std::vector<PatternFault> faults;
  for (size_t i = 0; i < patterns.size(); i++)
    if (std::string what = refused_alone(patterns[i], flags); !what.empty())
      faults.push_back({i, std::move(what)});
  return faults;
}

// One compilation where all is well; only where it is not, one for each pattern.
tl::expected<SignatureDatabase, std::vector<PatternFault>> compile_or_explain(
    std::span<const std::string> patterns, sg_field field) {
  const unsigned flags = flags_of(field);
  bool has_nul = false;
  for (const std::string& pattern : patterns)
    has_nul = has_nul || pattern.find('\0') != std::string::npos;
  if (!has_nul) {
    auto database = compile_all(patterns, flags);
    if (database) return std::move(*database);
    auto faults = faults_one_by_one(patterns, flags);
    if (faults.empty()) faults.push_back({fault_of_set, database.error().what});
    return tl::unexpected(std::move(faults));
  }
  return tl::unexpected(faults_one_by_one(patterns, flags));
}

std::vector<uint8_t> serialize(const hs_database_t* database) {
  char* bytes = nullptr;
  size_t length = 0;
  if (hs_serialize_database(database, &bytes, &length) != HS_SUCCESS) return {};
  std::vector<uint8_t> copy(bytes, bytes + length);
  std::free(bytes);
  return copy;
}

std::string info_of(std::span<const uint8_t> bytes) {
  char* info = nullptr;
  if (hs_serialized_database_info(reinterpret_cast<const char*>(bytes.data()), bytes.size(),
                                  &info) != HS_SUCCESS)
    return {};
  std::string text(info);
  std::free(info);
  return text;
}

}  // namespace

void SignatureDatabaseDeleter::operator()(hs_database* database) const {
  hs_free_database(database);
}

tl::expected<std::vector<uint8_t>, std::vector<PatternFault>> compile_patterns(
    std::span<const std::string> patterns, sg_field field) {
  auto database = compile_or_explain(patterns, field);
  if (!database) return tl::unexpected(std::move(database.error()));
  auto bytes = serialize(database->get());
  if (bytes.empty())
    return tl::unexpected(std::vector<PatternFault>{{fault_of_set, "no memory to serialize"}});
  return bytes;
}

std::vector<PatternFault> check_patterns(std::span<const std::string> patterns, sg_field field) {
  auto database = compile_or_explain(patterns, field);
  return database ? std::vector<PatternFault>() : std::move(database.error());
}

tl::expected<SignatureDatabase, std::string> open_database(std::span<const uint8_t> bytes) {
  hs_database_t* database = nullptr;
  const hs_error_t error =
      hs_deserialize_database(reinterpret_cast<const char*>(bytes.data()), bytes.size(), &database);
  switch (error) {
    case HS_SUCCESS:
      return SignatureDatabase(database);
    case HS_DB_VERSION_ERROR:
      return tl::unexpected<std::string>(
          "the signature database was compiled by another version of Hyperscan");
    case HS_DB_PLATFORM_ERROR:
      return tl::unexpected<std::string>(
          "the signature database was compiled for another kind of processor; compile it on this "
          "host");
    case HS_NOMEM:
      return tl::unexpected<std::string>("no memory for the signature database");
    default:
      return tl::unexpected<std::string>("the signature database is damaged");
  }
}

bool is_database_of_this_host(std::span<const uint8_t> bytes) {
  const std::string probe = "a";
  static const std::string info_here = [&] {
    auto database = compile_patterns({&probe, 1}, SG_FIELD_USER_AGENT);
    return database ? info_of(*database) : std::string();
  }();
  return !info_here.empty() && info_of(bytes) == info_here;
}

}  // namespace surgegate
