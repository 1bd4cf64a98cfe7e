// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/path/request.h"

#include <arpa/inet.h>

#include <cstring>

namespace surgegate {
namespace {

bool host_matches(std::string_view host, std::string_view wanted) {
  host = host_name(host);
  if (host.size() != wanted.size()) return false;
  for (size_t i = 0; i < host.size(); i++) {
    char c = host[i] >= 'A' && host[i] <= 'Z' ? static_cast<char>(host[i] | 0x20) : host[i];
    if (c != wanted[i]) return false;
  }
  return true;
}

bool path_matches(const sg_route& route, std::string_view path, std::string_view wanted) {
  switch (route.path_match) {
    case SG_PATH_EXACT:
      return path == wanted;
    case SG_PATH_PREFIX:
      return path.starts_with(wanted);
    case SG_PATH_GLOB:
      return matches_glob(wanted, path);
    default:
      return true;
  }
}

bool headers_match(const sg_route& route, const HttpHead& head, const ImageView& image) {
  auto wanted = image.route_headers().subspan(route.headers_first, route.headers_count);
  for (const sg_route_header& header : wanted)
    if (head.key(header.header_index) != image.text(header.value)) return false;
  return true;
}

bool matches(const sg_route& route, const HttpHead& head, const ImageView& image) {
  if (route.method.length_bytes > 0 && head.method != image.text(route.method)) return false;
  if (route.host.length_bytes > 0 && !host_matches(head.host, image.text(route.host))) return false;
  return path_matches(route, head.path, image.text(route.path)) &&
         headers_match(route, head, image);
}

const sg_route* find_route(const Lane& lane, const ImageView& image) {
  const sg_service& service = *lane.service;
  for (const sg_route& route : image.routes().subspan(service.routes_first, service.routes_count))
    if (matches(route, lane.request.head, image)) return &route;
  return nullptr;
}

// A declared proxy names the client; a header that is missing or no address leaves the proxy
// itself.
void find_client(Lane& lane, const PolicyInForce& policy) {
  std::memcpy(lane.request.client_ip.data(), lane.packet.tuple.src_ip, 16);
  const sg_client_rule* rule = policy.client_rule(lane.lists);
  if (rule == nullptr) return;
  std::array<uint8_t, 16> ip;
  if (parse_address(lane.request.head.key(rule->header_index), ip)) lane.request.client_ip = ip;
}

}  // namespace

bool parse_address(std::string_view text, std::array<uint8_t, 16>& ip) {
  char copy[INET6_ADDRSTRLEN];
  if (text.empty() || text.size() >= sizeof(copy)) return false;
  std::memcpy(copy, text.data(), text.size());
  copy[text.size()] = 0;
  if (inet_pton(AF_INET6, copy, ip.data()) == 1) return true;
  uint8_t ip4[4];
  if (inet_pton(AF_INET, copy, ip4) != 1) return false;
  sg_map_ip4(ip.data(), ip4);
  return true;
}

// The first and the last piece stand at the ends; of each between two stars the leftmost place will
// do, for it leaves the most to those behind it. So nothing is ever taken back, and each byte is
// searched once: memmem() is linear. Routes that begin differently differ in the first comparison.
bool matches_glob(std::string_view pattern, std::string_view text) {
  size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == text;
  if (!text.starts_with(pattern.substr(0, star))) return false;
  text.remove_prefix(star);
  pattern.remove_prefix(star + 1);
  for (; (star = pattern.find('*')) != std::string_view::npos; pattern.remove_prefix(star + 1)) {
    if (star == 0) continue;  // one star after another
    const void* found = memmem(text.data(), text.size(), pattern.data(), star);
    if (found == nullptr) return false;
    text.remove_prefix(static_cast<size_t>(static_cast<const char*>(found) - text.data()) + star);
  }
  return text.ends_with(pattern);
}

void identify(Lane& lane, const PolicyInForce& policy) {
  find_client(lane, policy);
  bool readable = lane.request.head.length_bytes > 0;
  lane.request.route = readable ? find_route(lane, policy.image()) : nullptr;
  lane.request.cost_units = lane.request.route == nullptr ? 1 : lane.request.route->cost_units;
}

}  // namespace surgegate
