// SPDX-License-Identifier: BSD-3-Clause
// What can happen to a packet, and every reason for it: one list that makes the enum, the counters,
// the words of the CLI, the truth table of `surgegate explain-rules` and the docs.
//
// A step of the journey *finds* things (sets the finding's bit in the lane); `decide` takes the
// finding that stands first in this list, and its verdict is the packet's. So the order of this
// list is the truth table: what stands higher wins, whatever else was found.
#pragma once

#include "config/types.h"

// Conservation: packets in = forwarded + answered + dropped + to_kernel, each packet exactly once.
#define SG_VERDICTS(X)                                           \
  X(forwarded, "sent on to a backend")                           \
  X(answered, "answered from here; the backend does not see it") \
  X(dropped, "discarded")                                        \
  X(to_kernel, "not ours: handed to the kernel unharmed")

#define SG_STEPS(X) \
  X(rx)             \
  X(parse)          \
  X(classify)       \
  X(track)          \
  X(police)         \
  X(inspect)        \
  X(balance)        \
  X(respond)        \
  X(tx)

// X(name, verdict, step that finds it, what it means, and the status of those that answer a head or
// body that cannot be read in one way only)
#define SG_REASONS(X)                                                                              \
  X(ring_full, dropped, rx, "owned by another worker whose ring has no room")                      \
  X(tx_full, dropped, tx, "the port's transmit queue had no room")                                 \
  X(frame_cut, dropped, parse, "the frame ends inside its Ethernet or VLAN header")                \
  X(not_ip, to_kernel, parse, "neither IPv4 nor IPv6 (ARP, LLDP, more than two VLAN tags ...)")    \
  X(ip_header_cut, dropped, parse, "the frame ends inside its IP header")                          \
  X(not_vip, to_kernel, classify, "no service has this address, port and protocol")                \
  X(icmp, to_kernel, classify, "ICMP to a VIP's address: the kernel answers echo")                 \
  X(ip_header_invalid, dropped, parse, "IP version or header length contradicts itself")           \
  X(ip_length_lies, dropped, parse,                                                                \
    "the IP length is shorter than its headers or longer than the frame")                          \
  X(ip_checksum, dropped, parse, "bad IPv4 header checksum")                                       \
  X(martian_source, dropped, parse, "a source address that cannot have sent this")                 \
  X(ip6_extensions, dropped, parse,                                                                \
    "IPv6 extension headers cut short, too many, or not to be forwarded")                          \
  X(denied, dropped, classify, "the source is in a list with `deny`")                              \
  X(fragment, dropped, parse, "an IP fragment to a service")                                       \
  X(l4_cut, dropped, parse, "the packet ends inside its TCP, UDP or ICMP header")                  \
  X(tcp_header_invalid, dropped, parse, "TCP data offset or options contradict the length")        \
  X(l4_length_lies, dropped, parse, "the UDP length contradicts the IP length")                    \
  X(l4_checksum, dropped, parse, "bad TCP or UDP checksum")                                        \
  X(tcp_flags, dropped, parse, "a combination of TCP flags that no stack sends")                   \
  X(limit_packets, dropped, police, "over a limit counted in packets")                             \
  X(answers_spent, dropped, police,                                                                \
    "an answer beyond the service's `answers`: judged and answered anew when it is sent again")    \
  X(refused_resend, answered, track,                                                               \
    "data on a refused connection: answered again, or acknowledged")                               \
  X(refused_beyond, answered, track,                                                               \
    "on a refused connection, data beyond what is taken of it, or again by who read on: reset")    \
  X(refused_unpaid, dropped, track,                                                                \
    "the same, where less has come than an answer would take: answered when it is sent again")     \
  X(refused_fin, answered, track,                                                                  \
    "the client closes a refused connection: answered again, or acknowledged")                     \
  X(refused_ack, dropped, track, "the client acknowledges the answer: nothing left to do")         \
  X(refused_rst, forwarded, track, "the client resets a refused connection: passed on")            \
  X(limit_connections, dropped, police, "over a limit counted in connections")                     \
  X(strays_spent, dropped, police,                                                                 \
    "of a connection whose beginning was not seen, beyond the service's `strays`")                 \
  X(limit_requests, answered, police, "over a limit counted in requests")                          \
  X(limit_requests_drop, dropped, police, "over a limit counted in requests with `over: drop`")    \
  X(unanswerable, answered, respond,                                                               \
    "refused again and again where an answer would not be safe: both sides are reset")             \
  X(limit_requests_silent, dropped, police,                                                        \
    "over a limit counted in requests, where an answer would not be safe")                         \
  X(tcp_urgent, dropped, track, "urgent data, which a backend reads otherwise than it was judged") \
  X(tcp_signed, dropped, parse,                                                                    \
    "an MD5 or AO option [RFC 2385, RFC 5925]: a backend without that key discards the segment")   \
  X(tcp_multipath, dropped, parse,                                                                 \
    "a segment of Multipath TCP [RFC 8684], which a backend may put elsewhere: none has agreed "   \
    "to it")                                                                                       \
  X(tcp_old_timestamp, dropped, track,                                                             \
    "a timestamp older than the newest that was read [RFC 7323 section 5]: a backend discards it") \
  X(syn_in_stream, dropped, track,                                                                 \
    "a SYN inside another connection of this flow, or a third one; or bytes that reach over one")  \
  X(out_of_order, dropped, track,                                                                  \
    "comes before the bytes in front of it, which must be read first: it is sent again")           \
  X(old_data, dropped, track, "bytes from before all that is remembered of the connection")        \
  X(resend_differs, dropped, track,                                                                \
    "bytes sent again that differ from those that were judged, or cannot be compared with them")   \
  X(head_evicted, dropped, track, "of a head whose beginning had to make room for others")         \
  X(http_line, answered, track,                                                                    \
    "a request line that is not method, target and version with one space between", 400)           \
  X(http_method, answered, track,                                                                  \
    "a method that nobody registered (`lenient: any-method` lets it pass)", 501)                   \
  X(http_connect, answered, track, "CONNECT: what follows would be a tunnel", 405)                 \
  X(http_target, answered, track,                                                                  \
    "a request target of no known form, or with a byte that must be encoded", 400)                 \
  X(http_target_long, answered, track, "a request target of more than 8,000 bytes", 414)           \
  X(http_absolute_target, answered, track,                                                         \
    "a whole URL as the target (`lenient: absolute-target` lets it pass)", 400)                    \
  X(http_host_differs, answered, track,                                                            \
    "a whole URL as the target, of another host than the Host field's", 421)                       \
  X(http_0_9, answered, track, "a request line without a version, as HTTP/0.9 had it", 505)        \
  X(http_2, answered, track, "HTTP/2 with prior knowledge", 505)                                   \
  X(http_version, answered, track, "a version that is neither HTTP/1.0 nor HTTP/1.1", 505)         \
  X(http_line_end, answered, track, "a line that ends in a bare CR or LF", 400)                    \
  X(http_control, answered, track, "NUL or another control character in a head", 400)              \
  X(http_field_name, answered, track,                                                              \
    "a header field without a name or a colon, or with a byte that no name has", 400)              \
  X(http_space_before_colon, answered, track,                                                      \
    "white space between a header field's name and its colon", 400)                                \
  X(http_folded, answered, track, "a header field that goes on in the next line", 400)             \
  X(http_field_twice, answered, track,                                                             \
    "two of a header field of which the policy reads one, or two User-Agents", 400)                \
  X(http_no_host, answered, track, "no Host field in HTTP/1.1", 400)                               \
  X(http_host_twice, answered, track, "two Host fields", 400)                                      \
  X(http_host, answered, track, "a Host field that names no host", 400)                            \
  X(http_length, answered, track, "a Content-Length that is no number below 2^40", 400)            \
  X(http_length_twice, answered, track, "two Content-Lengths", 400)                                \
  X(http_length_and_chunked, answered, track, "a Content-Length beside a Transfer-Encoding", 400)  \
  X(http_coding, answered, track, "a Transfer-Encoding other than `chunked`, alone and once", 501) \
  X(http_chunked_1_0, answered, track, "chunks in HTTP/1.0, which has none", 400)                  \
  X(http_head_long, answered, track, "a head of more than 16,352 bytes", 431)                      \
  X(http_fields_many, answered, track, "a head of more than 100 fields", 431)                      \
  X(http_slow, answered, track,                                                                    \
    "a head that is not complete when its service's `head_deadline` has passed", 408)              \
  X(http_chunk_size, answered, track, "a chunk size that is no hexadecimal number below 2^40",     \
    400)                                                                                           \
  X(http_chunk_extension, answered, track, "a control character in a chunk extension", 400)        \
  X(http_chunk_end, answered, track, "chunk data that does not end where its size says", 400)      \
  X(http_trailer, answered, track, "a trailer that is no field, or has a control character in it", \
    400)                                                                                           \
  X(http_fault_silent, dropped, track,                                                             \
    "one of the `http_` faults above, where an answer would not be safe")                          \
  X(http_upgraded, dropped, track,                                                                 \
    "no request, after an upgrade that no route allows: another protocol")                         \
  X(signature, answered, inspect, "a signature with `then: refuse` matched")                       \
  X(signature_drop, dropped, inspect, "a signature with `then: drop` matched")                     \
  X(signature_silent, dropped, inspect,                                                            \
    "a signature with `then: refuse` matched, where an answer would not be safe")                  \
  X(no_backend, dropped, balance, "the pool has no backend for a new flow")                        \
  X(no_next_hop, dropped, balance, "the link address of the backend or gateway is not known")      \
  X(no_headroom, dropped, balance, "the frame has no room in front for a tunnel header")           \
  X(trimmed, forwarded, police,                                                                    \
    "admitted requests forwarded; the refused one after them cut off, to be sent again")           \
  X(request, forwarded, track, "a request admitted")                                               \
  X(head_piece, forwarded, track, "a piece of a request head: judged with the last one")           \
  X(piece_ahead, forwarded, track,                                                                 \
    "bytes beyond a hole: judged with what fills it, until when a copy is kept")                   \
  X(resend, forwarded, track, "bytes of an admitted request, sent again")                          \
  X(body, forwarded, track, "bytes of an admitted request's body")                                 \
  X(syn, forwarded, track, "opens a connection")                                                   \
  X(syn_untracked, forwarded, track, "opens a connection for which the flow table has no room")    \
  X(closing, forwarded, track, "closes or resets a tracked connection")                            \
  X(stray, forwarded, track, "of a connection whose beginning was not seen")                       \
  X(segment, forwarded, track, "of a tracked connection, with nothing to judge in it")             \
  X(datagram, forwarded, classify, "a datagram of a UDP service")

#define SG_ENUM_ENTRY(name, ...) SG_VERDICT_##name,
enum sg_verdict { SG_VERDICTS(SG_ENUM_ENTRY) SG_VERDICT_COUNT };
#undef SG_ENUM_ENTRY

#define SG_ENUM_ENTRY(name) SG_STEP_##name,
enum sg_step { SG_STEPS(SG_ENUM_ENTRY) SG_STEP_COUNT };
#undef SG_ENUM_ENTRY

#define SG_ENUM_ENTRY(name, ...) SG_REASON_##name,
enum sg_reason { SG_REASONS(SG_ENUM_ENTRY) SG_REASON_COUNT };
#undef SG_ENUM_ENTRY

// A finding's bit.
#ifdef __cplusplus
__extension__ typedef unsigned __int128 sg_findings;
#define SG_FOUND(reason) sg_finding(SG_REASON_##reason)
constexpr sg_findings sg_finding(sg_reason reason) {
  return static_cast<sg_findings>(1) << reason;
}
static_assert(SG_REASON_COUNT <= 128, "findings are one 128-bit word");
static_assert(SG_REASON_tcp_flags < 64 && SG_REASON_tcp_signed < 64 && SG_REASON_tcp_multipath < 64,
              "what the headers are read for fits a word in BPF");
#endif
// .. of one that headers.h finds.
#define SG_SEEN(reason) (1ull << SG_REASON_##reason)
