// SPDX-License-Identifier: BSD-3-Clause
#include <cstring>

#include "config/image_check_parts.h"
#include "config/lookup_build.h"

namespace surgegate {
namespace {

void check_list_keys(const ImageView& image, const CheckedRecord& at, const sg_list& list) {
  at.run("keys_first", list.keys_first, list.keys_count, image.key_digests().size());
  if (list.keys_count == 0) return;
  at.require(list.is_key_list, "keys_count", "keys in a list of addresses");
  const auto digests = image.key_digests().subspan(list.keys_first, list.keys_count);
  for (size_t k = 1; k < digests.size(); k++)
    at.require(std::memcmp(&digests[k - 1], &digests[k], sizeof(sg_key_digest)) < 0, "keys_first",
               "the keys do not ascend");
}

void check_lists(const ImageView& image) {
  require_section(image.lists().size() <= SG_RECORDS_MAX, "lists", "too many records");
  require_section(address_list_count(image) <= SG_LISTS_MAX, "lists",
                  "more lists of addresses than bits in a mask");
  uint64_t keys_seen = 0;
  for (size_t i = 0; i < image.lists().size(); i++) {
    const sg_list& list = image.lists()[i];
    CheckedRecord at(image, "lists", i);
    at.text("name", list.name);
    at.rule("ceiling_rule", list.ceiling_rule, list.ceiling_units_per_charge, true);
    at.flag("exempt_limits", list.exempt_limits);
    at.flag("exempt_signatures", list.exempt_signatures);
    at.flag("exempt_penalties", list.exempt_penalties);
    at.flag("deny", list.deny);
    at.flag("is_key_list", list.is_key_list);
    at.below("mode", list.mode, SG_COUNT + 1);
    at.below_or_none("deny_response", list.deny_response, image.responses().size());
    at.require(i == 0 || list.is_key_list >= image.lists()[i - 1].is_key_list, "is_key_list",
               "a list of addresses behind a list of keys");
    at.require(list.keys_first == keys_seen, "keys_first",
               "does not begin where the keys of the list before it end");
    check_list_keys(image, at, list);
    keys_seen += list.keys_count;
  }
  require_section(keys_seen == image.key_digests().size(), "key_digests", "records of no list");
}

void check_lookup(const ImageView& image) {
  require_section(image.lookup_header().size() == 1, "lookup_header", "not exactly one record");
  LookupArrays arrays{image.lookup_lines(), image.lookup_buckets(), image.lookup_header().data(),
                      image.list_masks()};
  if (auto fault = validate_lookup(arrays)) require_section(false, "lookup", *fault);
  const size_t lists = address_list_count(image);
  for (size_t i = 0; i < image.list_masks().size(); i++) {
    CheckedRecord at(image, "list_masks", i);
    at.require(lists == 64 || image.list_masks()[i] >> lists == 0, "mask", "a bit of no list");
  }
}

void check_clients(const ImageView& image) {
  for (size_t i = 0; i < image.clients().size(); i++) {
    const sg_client_rule& rule = image.clients()[i];
    CheckedRecord at(image, "clients", i);
    at.text("name", rule.name);
    at.below("list", rule.list, address_list_count(image));
    at.below("header_index", rule.header_index, image.key_headers().size());
  }
}

}  // namespace

size_t address_list_count(const ImageView& image) {
  size_t count = 0;
  for (const sg_list& list : image.lists()) count += !list.is_key_list;
  return count;
}

void check_sources(const ImageView& image) {
  check_lists(image);
  check_lookup(image);
  check_clients(image);
}

}  // namespace surgegate
