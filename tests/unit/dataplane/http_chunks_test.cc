// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/path/http_chunks.h"

#include <gtest/gtest.h>

#include <string>

#include "config/limits.h"

namespace surgegate {
namespace {

struct Followed {
  uint32_t read;
  ChunkPosition position;
};

Followed follow(std::string_view bytes, ChunkPosition from = {}) {
  uint32_t read = follow_chunks(bytes, from);
  return {read, from};
}

constexpr std::string_view body =
    "5\r\nhello\r\n1A;name=\"v\"\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n";

TEST(HttpChunks, ABodyEndsAtItsLastLineAndTheNextRequestBeginsThere) {
  Followed f = follow(std::string(body) + "GET / HTTP/1.1\r\n");
  EXPECT_EQ(f.position.reader, SG_READER_HEAD);
  EXPECT_EQ(f.read, body.size());
}

// A body may be cut into segments anywhere, and must be read the same.
TEST(HttpChunks, ABodyCutAtEveryPairOfBytesEndsAtTheSameByte) {
  for (std::string_view text :
       {body, std::string_view("3 \r\nabc\r\n00\r\nTrailer: x\r\nOther: y\r\n\r\n")}) {
    const std::string all = std::string(text) + "GET ";
    for (size_t a = 0; a <= text.size(); a++) {
      for (size_t b = a; b <= text.size(); b++) {
        ChunkPosition position;
        size_t at = 0;
        for (size_t end : {a, b, all.size()}) {
          if (position.reader == SG_READER_HEAD) break;
          at += follow_chunks(std::string_view(all).substr(at, end - at), position);
        }
        ASSERT_EQ(position.reader, SG_READER_HEAD) << "cut at " << a << " and " << b;
        ASSERT_EQ(at, text.size()) << "cut at " << a << " and " << b;
      }
    }
  }
}

TEST(HttpChunks, DataAheadIsTold) {
  Followed f = follow("ffffffff\r\nabc");
  EXPECT_EQ(f.position.reader, SG_READER_DATA_CR);
  EXPECT_EQ(f.position.value, 0xffffffffull - 3);
  EXPECT_EQ(f.read, 13u);
}

TEST(HttpChunks, DataMayHoldAnything) {
  Followed f = follow("9\r\n0\r\n\r\nGET \r\n0\r\n\r\n");
  EXPECT_EQ(f.position.reader, SG_READER_HEAD);
  EXPECT_EQ(f.read, 19u);
}

TEST(HttpChunks, SizesBelowOneTiBAreReadAndLargerOnesAreLost) {
  EXPECT_EQ(follow("ffffffffff\r\n").position.value, SG_HTTP_LENGTH_MAX - 1);
  EXPECT_EQ(follow("10000000000").position.reader, SG_READER_LOST);
  EXPECT_EQ(follow("10000000000").position.fault, SG_REASON_http_chunk_size);
  EXPECT_EQ(follow("10000000000000005\r\n").position.reader, SG_READER_LOST)
      << "5 modulo 2^64: a smaller reader would go on behind 5 bytes";
  EXPECT_EQ(follow("00000000000000000000005\r\n").position.value, 5u);
}

TEST(HttpChunks, WhatTwoReadersCouldReadDifferentlyIsLost) {
  for (const char* text : {
           "\r\n",
           "g\r\n",
           "-5\r\n",
           "+5\r\n",
           "0x5\r\n",
           " 5\r\n",
           ";\r\n",
           "5\nhello",           // bare LF
           "5\r\r\n",            //
           "5\rhello",           //
           "5;a\nb\r\n",         // a line end to one reader, an extension to another
           "5;a\rb\r\n",         //
           "5\r\nhello5\r\n",    // data longer than its size
           "5\r\nhello\n",       //
           "5\r\nhell\r\n\r\n",  // shorter
           "0\r\nX: y\nGET /",   // in a trailer
           "0\r\n\nGET /",       //
           "0\r\n\rGET /",       //
           "0\r\nX: y\rGET /",   //
           "5,5\r\n",            //
       })
    EXPECT_EQ(follow(text).position.reader, SG_READER_LOST) << text;
}

TEST(HttpChunks, HexDigitsInAnyCase) {
  EXPECT_EQ(follow("aB\r\n").position.value, 0xabu);
  EXPECT_EQ(follow("G").position.reader, SG_READER_LOST);
  EXPECT_EQ(follow("\x01").position.reader, SG_READER_LOST) << "0x01 | 0x20 is no digit";
  EXPECT_EQ(follow("\x41").position.reader, SG_READER_CHUNK_SIZE);
}

TEST(HttpChunks, NothingToReadChangesNothing) {
  ChunkPosition position{SG_READER_CHUNK_EXT, 7};
  EXPECT_EQ(follow_chunks("", position), 0u);
  EXPECT_EQ(position.reader, SG_READER_CHUNK_EXT);
  EXPECT_EQ(position.value, 7u);
}

}  // namespace
}  // namespace surgegate
