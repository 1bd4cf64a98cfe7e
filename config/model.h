// SPDX-License-Identifier: BSD-3-Clause
// The policy as its author wrote it: values understood, names not yet resolved, every value with
// the place it came from. parse.cc makes it, check.cc judges it, compile.cc turns it into the
// image.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace surgegate::policy {

// Where a value stands. file is an index into Policy::files; line and column count from 1, 0 means
// "the file as a whole".
struct Place {
  uint32_t file = 0;
  uint32_t line = 0;
  uint32_t column = 0;
};

template <class T>
struct Placed {
  T value{};
  Place place{};
};

using Name = Placed<std::string>;

// An IPv4 or IPv6 address in network byte order; IPv4 is kept IPv4-mapped (::ffff:0:0/96), so that
// one address has one form wherever it is compared, hashed or looked up.
struct Address {
  std::array<uint8_t, 16> bytes{};
  static Address of_ipv4(const std::array<uint8_t, 4>& octets);
  bool is_ipv4() const;
  friend bool operator==(const Address&, const Address&) = default;
};

// A prefix; length counts in the 128-bit form (an IPv4 /24 has length 120). except: an exception
// ("!192.0.2.7") inside a wider range of the same list; the longest prefix of a list decides.
struct Cidr {
  Address address;
  uint8_t length = 128;
  bool except = false;
};

struct AddressPort {
  Address address;
  uint16_t port = 0;  // host byte order
  friend bool operator==(const AddressPort&, const AddressPort&) = default;
};

// As the policy writes them: "192.0.2.1", "!192.0.2.0/24", "[2001:db8::1]:80".
std::string to_text(const Address& address);
std::string to_text(const Cidr& cidr);
std::string to_text(const AddressPort& at);

// An exact rational: units per per_ns nanoseconds ("100/s", "5/min", "2k/s", "1/h").
struct Rate {
  uint64_t units = 0;
  uint64_t per_ns = 1'000'000'000;
};

enum class Mode { enforce, count };
enum class Scope { host, cluster };
enum class Protocol { http, tls, tcp, udp };
enum class Unit { packets, connections, requests };
enum class Forward { l2, ipip, gue };
enum class Challenge { none, resync, accept };
enum class Class { critical, normal, background };

struct Defaults {
  Mode mode = Mode::enforce;
  Placed<Scope> scope;
};

// Who "client" is when a request arrives from these peers: the address in a header they set.
struct ClientRule {
  Name name;
  std::vector<Cidr> peers;
  Placed<std::string> identity_header;  // lower case
};

enum class ListKind { cidr, key };

struct List {
  Name name;
  ListKind kind = ListKind::cidr;
  std::vector<Cidr> cidrs;                          // kind cidr
  std::vector<std::array<uint8_t, 32>> key_sha256;  // kind key
  bool exempt_limits = false;
  bool exempt_signatures = false;
  bool exempt_penalties = false;
  std::optional<Place> exempt_all_place;        // `all` was written ..
  std::optional<Place> exempt_penalties_place;  // .. or `penalties`
  bool deny_drop = false;
  std::optional<Name> deny_response;    // deny: RESPONSE, for requests
  std::optional<Placed<Rate>> ceiling;  // what the exempt may still use, per source
  Mode mode = Mode::enforce;
};

struct RetryAfter {
  uint64_t min_ns = 0;  // 0: what the bucket says
  uint64_t jitter_ns = 0;
};

struct Response {
  Name name;
  Placed<uint16_t> status;
  std::string body;          // as read from `body: "text"` or `body: {file: F}`
  std::string content_type;  // from `content-type` in headers, the file's ending, or the default
  std::vector<std::pair<std::string, std::string>> headers;  // names lower case, in order
  std::optional<RetryAfter> retry_after;                     // else from the bucket
  bool rate_limit_fields = true;
};

enum class KeyKind { source, client, path, method, host, header };

struct KeyPart {
  KeyKind kind = KeyKind::client;
  std::string header;  // lower case, kind header only
  Place place{};
};

// What happens to a refused unit: answered with a response, dropped, or (SYNs) answered by cookie.
enum class OverKind { response, drop, cookie };

struct Over {
  OverKind kind = OverKind::drop;
  Name response;  // kind response; "429"-like bare statuses name a built-in response
};

struct Limit {
  Name name;
  std::vector<KeyPart> key;  // empty: one bucket for the whole service
  uint8_t prefix_v4_bits = 32;
  uint8_t prefix_v6_bits = 64;
  Placed<Rate> rate;
  Placed<uint64_t> burst_units;
  Unit unit = Unit::requests;
  Placed<Over> over;
  std::optional<Name> known;                // a list of kind key
  std::optional<Placed<uint16_t>> unknown;  // status for a key that is not in `known`
  std::optional<Name> missing_limit;  // the limit that counts where the key's header is missing
  std::optional<Placed<uint16_t>> missing_status;
  Placed<Scope> scope;
  Mode mode = Mode::enforce;
};

enum class SignatureField { target, path, query, user_agent, header, head };
enum class SignatureThen { refuse, drop, ban };

struct SignatureSet {
  Name name;
  Placed<SignatureField> field;
  std::string header;  // lower case, field header only
  std::vector<Placed<std::string>> patterns;
  Placed<SignatureThen> then;
  Name refuse_response;  // then refuse: a response's name or a bare status
  uint64_t ban_ns = 0;   // then ban
  Mode mode = Mode::enforce;
};

struct Penalty {
  Name name;
  uint64_t refused_units = 0;  // when: "refused > UNITS/WINDOW"
  uint64_t window_ns = 0;
  uint64_t ban_ns = 0;
  bool only_validated = false;
  Mode mode = Mode::enforce;
};

enum class ShedBy { klass, client };

struct Capacity {
  Placed<Rate> rate;
  std::optional<uint64_t> burst_units;
  Scope scope = Scope::host;
  Place scope_place{};
  std::optional<Name> over;
  std::optional<Place> shed_place;
  std::vector<ShedBy> shed_by;
  uint64_t hold_ns = 0;
};

enum class PathMatch { any, exact, prefix, glob };

struct Route {
  Place place{};
  PathMatch path_match = PathMatch::any;
  std::string path;                                          // "/checkout/*" is prefix "/checkout/"
  std::string method;                                        // empty: any
  std::string host;                                          // lower case, empty: any
  std::vector<std::pair<std::string, std::string>> headers;  // name lower case; value exact
  std::optional<Placed<Class>> klass;                        // normal
  std::vector<Name> limits;                                  // on top of the service's
  std::vector<Name> signatures;                              // likewise
  Placed<uint32_t> cost{1, {}};
  std::optional<Place> upgrade_tunnel;
};

// What real clients of a service need, and RFC 9112 would have refused.
enum class Lenient { any_method, absolute_target, raw_target };

struct Service {
  Name name;
  std::vector<Placed<AddressPort>> vips;
  Placed<Protocol> protocol;
  Name pool;
  std::optional<Placed<Capacity>> capacity;
  std::vector<Name> limits;
  std::vector<Name> signatures;
  std::vector<Name> penalties;
  std::vector<Route> routes;
  std::vector<Lenient> lenient;
  std::optional<Place> lenient_place;
  uint64_t head_deadline_ns = 20'000'000'000;
  std::optional<Place> head_deadline_place;
  std::optional<Placed<Rate>> answers;  // how many of ours it may send each second
  std::optional<Placed<Rate>> strays;   // packets of connections whose beginning was not seen
};

struct Override {
  Place place{};
  Name service;  // of "shop/per-client"
  Name limit;
  Placed<Rate> rate;
  std::optional<uint64_t> burst_units;
  Placed<uint64_t> until_unix_s;
  std::string reason;
};

enum class HealthKind { none, tcp, http, tls };

struct Health {
  HealthKind kind = HealthKind::none;
  std::string path;
  uint16_t port = 0;
  uint64_t interval_ns = 1'000'000'000;
  uint64_t timeout_ns = 1'000'000'000;
  uint32_t fall = 3;
  uint32_t rise = 2;
  uint8_t min_healthy_percent = 0;
};

struct Backend {
  Name name;
  Placed<Address> address;
  uint32_t weight = 100;
  Placed<bool> drain{false, {}};
};

struct Pool {
  Name name;
  Placed<Forward> forward;
  Placed<Challenge> challenge;
  std::optional<Placed<Health>> health;
  std::vector<Backend> backends;
};

struct Policy {
  std::vector<std::string>
      files;  // files[0] is the policy itself, then its includes and data files
  Defaults defaults;
  std::vector<ClientRule> clients;
  std::vector<List> lists;
  std::vector<Response> responses;
  std::vector<Limit> limits;
  std::vector<SignatureSet> signatures;
  std::vector<Penalty> penalties;
  std::vector<Service> services;
  std::vector<Override> overrides;
  std::vector<Pool> pools;
};

enum class Severity { fault, warning, note };

// One thing to tell the author. expected and nearest may be empty.
struct Finding {
  Severity severity = Severity::fault;
  Place place{};
  std::string what;      // "unknown key `rat` in a limit"
  std::string expected;  // "one of key, prefix, rate, burst, ..."
  std::string nearest;   // "rate"
};

}  // namespace surgegate::policy
