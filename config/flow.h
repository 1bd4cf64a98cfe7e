// SPDX-License-Identifier: BSD-3-Clause
// What is remembered of a flow: one cache line, read and written in place by the one worker that
// owns its shard (or by XDP, under the claim word, where no worker lives). It outlives the process
// and the policy image: no pointers, no positions in an image.
#pragma once

#include "config/limits.h"
#include "config/types.h"

enum sg_flow_state {
  SG_FLOW_FREE,
  SG_FLOW_OPENING,      // SYN seen
  SG_FLOW_ESTABLISHED,  // the client acknowledged somebody's SYN-ACK
  SG_FLOW_CLOSING,      // FIN or RST forwarded
  SG_FLOW_REFUSED,      // a tombstone: answers for the connection that was refused
  SG_FLOW_MET  // met in the middle: only what was forwarded last is known, and it proves nothing
};

// What the byte at next_seq is. The chunk states follow the grammar of RFC 9112 section 7.1 byte by
// byte, so that a chunk header may be cut anywhere and nothing of it need be kept.
enum sg_reader {
  SG_READER_HEAD,         // the first byte of a request head
  SG_READER_CHUNK_FIRST,  // the first digit of a chunk size
  SG_READER_CHUNK_SIZE,   // a later digit; body_left holds the size so far
  SG_READER_CHUNK_EXT,    // in a chunk extension, or spaces before one
  SG_READER_CHUNK_LF,     // the LF that ends a chunk-size line
  SG_READER_DATA_CR,      // the CR that ends a chunk's data
  SG_READER_DATA_LF,
  SG_READER_TRAILER,       // the first byte of a trailer line
  SG_READER_TRAILER_NAME,  // in the name of its field
  SG_READER_TRAILER_LINE,  // behind that
  SG_READER_TRAILER_LF,
  SG_READER_LAST_LF,  // the LF of the empty line that ends the message
  SG_READER_LOST,     // what came is no chunked body
  SG_READER_TUNNEL,   // behind an upgrade: body without an end
  SG_READER_HELLO,    // the first byte of a TLS connection
  SG_READER_NONE      // nothing to read: not an HTTP service, or a TLS connection that was admitted
};

enum sg_flow_flag {
  SG_FLOW_PIPELINED = 1,     // a request began before the one before it was answered
  SG_FLOW_HAS_REQUEST = 2,   // request_ack is meaningful
  SG_FLOW_IN_HEAD = 4,       // a head has come in part; its bytes are kept
  SG_FLOW_ANSWER_HEAD = 4,   // tombstone: the refused request was a HEAD: no body
  SG_FLOW_UPGRADE = 16,      // an upgrade was asked for: what the backend says now need not be HTTP
  SG_FLOW_TUNNEL = 32,       // where a route allows that: what cannot be a request opens a tunnel
  SG_FLOW_OTHER = 64,        // other_seq is meaningful: another connection may go on there,
  SG_FLOW_OTHER_SYN = 8,     // .. which a SYN wants to open
  SG_FLOW_OTHER_LATER = 128  // .. or which was in this one's place, and came to it later
};

enum sg_flow_mark {
  SG_FLOW_AHEAD = 1,         // bytes beyond a hole were forwarded: the record of the owner has them
  SG_FLOW_STRAY = 2,         // its beginning was not seen: it is SG_FLOW_MET, or was
  SG_FLOW_OTHER_TUNNEL = 4,  // at other_seq a tunnel goes on
  SG_FLOW_BODY_BEFORE = 8,   // all from body_seq to judged.start_seq is body, and may be sent again
  // A request at the next head was forwarded ahead, and refused when a hole in front of it was to
  // be filled: nothing that may fill that goes on before it is admitted.
  SG_FLOW_HELD = 16,
  SG_FLOW_EARLIER = 32,  // earlier is meaningful (and body_seq is not)
  // Something but a SYN stood at other_seq: the backend may have opened it, and ended it again.
  SG_FLOW_OTHER_MET = 64,
  SG_FLOW_OTHER_UPGRADE = 128  // at other_seq a head or a tunnel goes on behind an upgrade
};

// Where streams of earlier connections lie that the backend may hold still, for it need not have
// got what closed them: all from begin_64k * 2^16 on, up to where this one begins. When the port is
// used often those of three periods are told apart, so that the oldest can be let go of by itself.
struct sg_earlier {
  __u16 begin_64k;
  __u8 since;  // when the last period began, in units of 2^SG_FLOW_OTHER_TICK_BITS ticks
  // How far behind begin_64k * 2^16 those of the second period begin (low nibble), and of the
  // third, in units of 2^28, rounded down.
  __u8 periods;
};

// The part of the stream that was judged last, from the first byte of a head, chunk header or
// trailer in a segment to the last one: a resend is compared with it. Behind it all is body; what
// was judged before it is in the owner's record, or not taken any more.
struct sg_judged {
  union {
    __u32 start_seq;
    __u32 linger_seq;  // tombstone: from here on bytes are thrown away
  };
  union {
    __u32 hash;
    __u32 answer_end_seq;  // tombstone: of its first answer; no later one is longer
  };
  union {
    __u16 length_bytes;  // 0: nothing was judged since start_seq
    __u16 answer_bytes;  // tombstone: of its content; 0: there was no room for any, and FIN was all
  };
  // How many multiples of 2^16 next_seq has passed, at most SG_FLOW_PASSED_64K_MAX: so that it is
  // known where the stream began.
  __u16 passed_64k;
};

struct sg_flow {
  __u64 hash;  // sg_flow_hash; 0: free
  // One aligned word, so that XDP can compare and swap its half: no worker lives while XDP does.
  __u16 claim;  // XDP: epoch and CPU of the holder
  union {
    // Of one place in the stream, where an answer would not have been safe: how often, and whether
    // request_ack is what the client acknowledged then.
    __u8 silent_refusals;
    __u8 credit_16;  // tombstone: sg_flow_credit_bytes()
  };
  __u8 marks;        // sg_flow_mark
  __u32 seen_ticks;  // SG_FLOW_TICK_NS since boot, modulo 2^32 (52 days)
  union {
    // The first byte not judged yet; in a body as many bytes behind its first as have passed, in
    // whatever order.
    __u32 next_seq;
    __u32 answer_seq;  // tombstone: where our answer starts
  };
  __u32 other_seq;
  union {
    struct sg_earlier earlier;
    __u32 body_seq;
  };
  union {
    __u32 request_ack;   // what the client had acknowledged when the last request was judged
    __u32 receive_next;  // tombstone: what we have of the client's stream
    __u32 run_seq;       // TLS, admitted: a run of bytes beyond a hole, [run_seq, run_end_seq)
  };
  union {
    __u32 newest_stamp;  // of the segments that were read [RFC 7323 section 5]; 0: none
    __u32 refusal_id;    // tombstone: low half of the id of the limit or response that refused
    __u32 run_end_seq;
  };
  union {
    __u32 body_left_low;  // sg_flow_body_left()
    __u32 retry_after_s;  // tombstone
  };
  __u16 backend_slot;  // SG_NONE16: none
  __u16 backend_generation;
  __u8 state;        // sg_flow_state
  __u8 reader;       // sg_reader
  __u8 flags;        // sg_flow_flag
  __u8 mss_64;       // the client's MSS in units of 64 bytes; 0: not known
  __u16 kept_index;  // SG_NONE16: none; the record of the owner's kept bytes
  union {
    __u8 body_left_high;  // sg_flow_body_left()
    __u8 answers_again;   // tombstone: how often its answer was given again; SG_FLOW_RESETS: not
                          // once, but a reset
  };
  __u8 other_since;  // when other_seq was noted, or last stood at, in units of
                     // 2^SG_FLOW_OTHER_TICK_BITS ticks
  struct sg_judged judged;
};
#define SG_FLOW_RESETS 0xff
#define SG_FLOW_ACK_NOTED 0x80      // of silent_refusals
#define SG_FLOW_OTHER_TICK_BITS 13  // 8.6 s: a byte of them is 36 minutes
#define SG_FLOW_OTHER_TICK_NS ((__u64)SG_FLOW_TICK_NS << SG_FLOW_OTHER_TICK_BITS)

// Bytes of the body from next_seq on, which pass unread. In a chunk header: its size so far.
SG_INLINE __u64 sg_flow_body_left(const struct sg_flow* flow) {
  return (__u64)flow->body_left_high << 32 | flow->body_left_low;
}

SG_INLINE void sg_flow_set_body_left(struct sg_flow* flow, __u64 bytes) {
  flow->body_left_low = (__u32)bytes;
  flow->body_left_high = (__u8)(bytes >> 32);
}

// Of a tombstone: bytes that came and were not matched by ours yet, rounded down to 16, and at most
// SG_CREDIT_BYTES_MAX.
SG_INLINE __u32 sg_flow_credit_bytes(const struct sg_flow* flow) {
  return flow->credit_16 * 16u;
}

SG_INLINE void sg_flow_set_credit_bytes(struct sg_flow* flow, __u32 bytes) {
  flow->credit_16 = (__u8)((bytes < SG_CREDIT_BYTES_MAX ? bytes : SG_CREDIT_BYTES_MAX) / 16);
}

#ifdef __cplusplus
#include <cstddef>
static_assert(sizeof(sg_flow) == 64, "a flow is one cache line");
static_assert(SG_HTTP_LENGTH_MAX <= 1ull << 40, "body_left has 40 bits");
static_assert(SG_CREDIT_BYTES_MAX <= 255 * 16, "credit_16 has 8 bits");
static_assert(SG_FLOW_PASSED_64K_MAX < 1 << 15, "what is 2^31 or more away compares wrongly");
static_assert(((SG_FLOW_EARLIER_PERIODS - 1) * SG_FLOW_EARLIER_PERIOD_UNITS - 1) *
                      SG_FLOW_OTHER_TICK_NS >=
                  SG_FLOW_SERVER_WAIT_NS,
              "what is let go of was borne in mind for long enough; units are rounded down");
static_assert((2 * SG_FLOW_IDLE_NS_MAX) / SG_FLOW_OTHER_TICK_NS < 255,
              "ages in these units are told apart: an entry is known while it is not idle");
#endif
