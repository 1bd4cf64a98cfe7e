// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/path/http_head.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "tests/support/buffer.h"

namespace surgegate {
namespace {

using testing::GuardedBuffer;

HeaderNames key_names() {
  std::array<std::string_view, SG_KEY_HEADERS_MAX> names{};
  names[0] = "x-api-key";
  names[1] = "cf-connecting-ip";
  names[2] = "x-tenant-1";  // as long as user-agent
  return HeaderNames(names);
}

const HeaderNames names = key_names();

// The text stands at the end of readable memory, as the head's views do after it.
class Read {
 public:
  explicit Read(std::string_view text, uint8_t lenient = 0) : buffer_(text.size()) {
    std::memcpy(buffer_.begin(), text.data(), text.size());
    status = read_http_head({reinterpret_cast<char*>(buffer_.begin()), text.size()},
                            {names, lenient}, head);
  }

  HeadStatus status;
  HttpHead head;

 private:
  GuardedBuffer buffer_;
};

HeadStatus status_of(std::string_view text) {
  return Read(text).status;
}

const std::string line = "GET /a/b?c=d HTTP/1.1\r\n";
const std::string host = "Host: shop.example\r\n";

std::string with_fields(const std::string& fields) {
  return line + host + fields + "\r\n";
}

TEST(HttpHead, AllPartsOfARequestAreFound) {
  const std::string text =
      "POST /a/b?c=d?e HTTP/1.1\r\nHost:shop.example:8080\r\nuser-AGENT: curl/8 \t\r\n"
      "X-Api-Key:   k1\r\nContent-Length: 12\r\n\r\n";
  Read read(text + "hello world!GET");
  ASSERT_EQ(read.status, HeadStatus::complete);
  EXPECT_EQ(read.head.method, "POST");
  EXPECT_EQ(read.head.target, "/a/b?c=d?e");
  EXPECT_EQ(read.head.path, "/a/b");
  EXPECT_EQ(read.head.host, "shop.example:8080");
  EXPECT_EQ(read.head.user_agent, "curl/8");
  EXPECT_EQ(read.head.key(0), "k1");
  EXPECT_FALSE(read.head.has_key(1));
  EXPECT_EQ(read.head.content_length, 12u);
  EXPECT_EQ(read.head.length_bytes, text.size()) << "the body is not of the head";
  EXPECT_FALSE(read.head.chunked);
  EXPECT_FALSE(read.head.http_1_0);
}

// What is cut must wait for the rest: called malformed, an honest client in small segments would be
// refused; called complete, it would be judged by half of its request.
TEST(HttpHead, AHeadCutAtAnyByteIsIncomplete) {
  for (const std::string& text :
       {with_fields("User-Agent: a\r\nX-Api-Key: k\r\nContent-Length: 5\r\nAccept:\r\n"),
        with_fields("Transfer-Encoding: chunked\r\n"), std::string("OPTIONS * HTTP/1.0\r\n\r\n")}) {
    ASSERT_EQ(status_of(text), HeadStatus::complete);
    for (size_t length = 0; length < text.size(); length++)
      EXPECT_EQ(status_of(text.substr(0, length)), HeadStatus::incomplete)
          << text.substr(0, length);
  }
}

TEST(HttpHead, AKeyHeaderThatIsEmptyIsThereAndOneThatIsMissingIsNot) {
  Read read(with_fields("X-Api-Key:\r\n"));
  ASSERT_EQ(read.status, HeadStatus::complete);
  EXPECT_TRUE(read.head.has_key(0));
  EXPECT_EQ(read.head.key(0), "");
  EXPECT_FALSE(read.head.has_key(2));
}

TEST(HttpHead, NamesOfOneLengthAreToldApart) {
  Read read(with_fields("User-Agent: ua\r\nX-Tenant-1: t\r\nX-Tenant-2: other\r\n"));
  ASSERT_EQ(read.status, HeadStatus::complete);
  EXPECT_EQ(read.head.user_agent, "ua");
  EXPECT_EQ(read.head.key(2), "t");
}

TEST(HttpHead, AHeadWithoutHostIsOfHttp10Only) {
  EXPECT_EQ(status_of("GET / HTTP/1.0\r\n\r\n"), HeadStatus::complete);
  EXPECT_TRUE(Read("GET / HTTP/1.0\r\n\r\n").head.http_1_0);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\n\r\n"), HeadStatus::malformed);  // RFC 9112 section 3.2
}

TEST(HttpHead, RequestLinesThatAreRefused) {
  for (const char* text : {
           " GET / HTTP/1.1\r\n",            // a space too many
           "GET  / HTTP/1.1\r\n",            //
           "GET /  HTTP/1.1\r\n",            //
           "GET / HTTP/1.1 \r\n",            //
           "GET\t/ HTTP/1.1\r\n",            // a tab is no space
           "GET / HTTP/1.1\n",               // RFC 9112 section 2.2: may be read as a line end
           "GET / HTTP/1.1\r\r\n",           //
           "GET / HTTP/1.2\r\n",             //
           "GET / HTTP/2.0\r\n",             //
           "PRI * HTTP/2.0\r\n\r\nSM\r\n",   // HTTP/2 with prior knowledge
           "GET / http/1.1\r\n",             //
           "GET /\r\n",                      // HTTP/0.9
           "GET / HTTP/1.1x\r\n",            //
           "GET\xff / HTTP/1.1\r\n",         //
           "G(T / HTTP/1.1\r\n",             //
           "GET /\x01 HTTP/1.1\r\n",         //
           "GET /\xc3\xa4 HTTP/1.1\r\n",     // not percent-encoded
           "GET example.org/ HTTP/1.1\r\n",  //
           "GET http://a/ HTTP/1.1\r\n",     // absolute form: Host would have a rival
           "CONNECT a:443 HTTP/1.1\r\n",     //
           "GET * HTTP/1.1\r\n",             // RFC 9112 section 3.2.4: of OPTIONS only
           "OPTIONS *a HTTP/1.1\r\n",        // ... and alone
           "OPTIONS */ HTTP/1.1\r\n",        //
           "\r\n\r\nGET / HTTP/1.1\r\n",     // two empty lines first
           "\nGET / HTTP/1.1\r\n",           // half an empty line first
           "\rGET / HTTP/1.1\r\n",           //
           "\x16\x03\x01\x02\x05\x01",       // TLS
           "AVERYLONGMETHODTHATNOBODYHASEVERREGISTERED / HTTP/1.1\r\n",
       })
    EXPECT_EQ(status_of(std::string(text) + "Host: a\r\n\r\n"), HeadStatus::malformed) << text;
}

// nginx cuts a target at '#': "/login#x" would be /login there and no route's path here. Where a
// query begins changes nothing about that.
TEST(HttpHead, AFragmentIsNotOfATarget) {
  for (const char* target : {"/#", "/login#x", "/a?b#c", "/a?#"})
    EXPECT_EQ(status_of("GET " + std::string(target) + " HTTP/1.1\r\n" + host + "\r\n"),
              HeadStatus::malformed)
        << target;
}

TEST(HttpHead, APathHoldsWhatBrowsersSendThereAndAQueryWhatAnybodyDoes) {
  for (char c : std::string("\"<>\\`{}")) {
    const std::string raw(1, c);
    EXPECT_EQ(status_of("GET /a" + raw + "b HTTP/1.1\r\n" + host + "\r\n"), HeadStatus::malformed)
        << raw;
    EXPECT_EQ(status_of("GET /a?q=" + raw + "&" + raw + " HTTP/1.1\r\n" + host + "\r\n"),
              HeadStatus::complete)
        << raw;
  }
  for (char c : std::string("|^[]'!$&()*+,;=:@%~-._"))
    EXPECT_EQ(status_of("GET /a" + std::string(1, c) + "b HTTP/1.1\r\n" + host + "\r\n"),
              HeadStatus::complete)
        << c;
  EXPECT_EQ(Read("GET /a?b?c HTTP/1.1\r\n" + host + "\r\n").head.path, "/a");
}

// RFC 9112 section 2.2: clients of old send an empty line behind a body that is not of it.
TEST(HttpHead, OneEmptyLineBeforeARequestIsSkippedAndCounted) {
  const std::string text = "\r\n" + with_fields("Content-Length: 5\r\n");
  Read read(text + "hello");
  ASSERT_EQ(read.status, HeadStatus::complete);
  EXPECT_EQ(read.head.method, "GET");
  EXPECT_EQ(read.head.path, "/a/b");
  EXPECT_EQ(read.head.length_bytes, text.size());
  for (size_t length = 0; length < text.size(); length++)
    EXPECT_EQ(status_of(text.substr(0, length)), HeadStatus::incomplete) << length;
}

TEST(HttpHead, AMethodIsARegisteredOneOrTheServiceIsLenient) {
  EXPECT_EQ(status_of("PROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n"), HeadStatus::complete);
  const std::string search = "M-SEARCH / HTTP/1.1\r\nHost: a\r\n\r\n";
  EXPECT_EQ(Read(search).head.fault, SG_REASON_http_method);
  EXPECT_EQ(Read(search, SG_LENIENT_ANY_METHOD).head.method, "M-SEARCH");
}

TEST(HttpHead, OfAWholeUrlTheTargetIsWhatFollowsItsHost) {
  const auto head_of = [](const std::string& url, uint8_t lenient = SG_LENIENT_ABSOLUTE_TARGET) {
    Read read("GET " + url + " HTTP/1.1\r\nHost: a:80\r\n\r\n", lenient);
    return read.status == HeadStatus::complete
               ? std::string(read.head.target) + " " + std::string(read.head.path)
               : std::to_string(read.head.fault);
  };
  EXPECT_EQ(head_of("http://a:80/x/y?z=1"), "/x/y?z=1 /x/y");
  EXPECT_EQ(head_of("HTTP://A:80"), "/ /");
  EXPECT_EQ(head_of("http://a:80/", 0), std::to_string(SG_REASON_http_absolute_target));
  EXPECT_EQ(head_of("http://a/"), std::to_string(SG_REASON_http_host_differs));
  EXPECT_EQ(head_of("http://user@a:80/"), std::to_string(SG_REASON_http_target));
  EXPECT_EQ(head_of("http://a:80?x"), std::to_string(SG_REASON_http_target));
  EXPECT_EQ(head_of("http:///x"), std::to_string(SG_REASON_http_target));
  EXPECT_EQ(head_of("https://a:80/"), std::to_string(SG_REASON_http_target));
}

TEST(HttpHead, WhatOldClientsDoNotEncodePassesWhereTheServiceIsLenient) {
  const std::string raw = "GET /\xc3\xa4\\\"?\xff HTTP/1.1\r\nHost: a\r\n\r\n";
  EXPECT_EQ(Read(raw).head.fault, SG_REASON_http_target);
  Read read(raw, SG_LENIENT_RAW_TARGET);
  EXPECT_EQ(read.head.target, "/\xc3\xa4\\\"?\xff");
  EXPECT_EQ(read.head.path, "/\xc3\xa4\\\"");
  EXPECT_EQ(Read("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", SG_LENIENT_RAW_TARGET).head.fault,
            SG_REASON_http_target);
}

// A refused HEAD gets no body, whatever is wrong with it.
TEST(HttpHead, OfAMalformedHeadTheMethodIsKnown) {
  Read read("HEAD / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n");
  ASSERT_EQ(read.status, HeadStatus::malformed);
  EXPECT_EQ(read.head.method, "HEAD");
  EXPECT_EQ(read.head.host, "");
}

TEST(HttpHead, TheLongestMethodIsReadAndALongerOneIsNot) {
  const std::string rest = " / HTTP/1.1\r\nHost: a\r\n\r\n", longest(32, 'M');
  EXPECT_EQ(Read(longest + rest, SG_LENIENT_ANY_METHOD).head.method, longest);
  EXPECT_EQ(Read(longest + "M" + rest, SG_LENIENT_ANY_METHOD).head.fault, SG_REASON_http_method);
}

TEST(HttpHead, FieldsThatAreRefused) {
  const std::vector<std::string> fields = {
      "X-A : b\r\n",        // RFC 9112 section 5.1: a space before the colon
      " X-A: b\r\n",        // folding, section 5.2
      "X-A: b\r\n c\r\n",   //
      "X-A: b\r\n\tc\r\n",  //
      "X-A\r\n",            // no colon
      ": b\r\n",            // no name
      "X(A: b\r\n",         //
      "X-A: b\n",           // bare LF
      "X-A: b\rc\r\n",      // bare CR
      std::string("X-A: \0b\r\n", 9),
      "X-A: \x7f\r\n",
      "X-A: \x01\r\n",
      "Host: other\r\n",                          // two of them
      "X-Api-Key: 1\r\nx-api-key: 2\r\n",         // which of the two would be counted?
      "User-Agent: good\r\nUser-Agent: bad\r\n",  // which of the two would be scanned?
  };
  for (const std::string& field : fields)
    EXPECT_EQ(status_of(with_fields(field)), HeadStatus::malformed) << field;
}

TEST(HttpHead, AnEmptyLineThatIsNotOne) {
  EXPECT_EQ(status_of(line + host + "\n"), HeadStatus::malformed);
  EXPECT_EQ(status_of(line + host + "\rX"), HeadStatus::malformed);
}

TEST(HttpHead, ValuesMayHoldTabsAndBytesBeyondAscii) {
  EXPECT_EQ(status_of(with_fields("X-A: a\tb \xc3\xa4\xff\r\n")), HeadStatus::complete);
}

// RFC 9112 section 6: where two readers could see two lengths, the next request would begin in two
// places.
TEST(HttpHead, LengthsThatTwoReadersCouldReadDifferently) {
  for (const char* fields : {
           "Content-Length: 5\r\nContent-Length: 5\r\n",
           "Content-Length: 5, 5\r\n",
           "Content-Length: +5\r\n",
           "Content-Length: -5\r\n",
           "Content-Length: 0x5\r\n",
           "Content-Length: 5 5\r\n",
           "Content-Length: 5;\r\n",
           "Content-Length:\r\n",
           "Content-Length: 1099511627776\r\n",         // 2^40
           "Content-Length: 9999999999999999999\r\n",   // beyond 63 bits
           "Content-Length: 18446744073709551621\r\n",  // 5 modulo 2^64
           "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
           "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
           "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
           "Transfer-Encoding: gzip, chunked\r\n",
           "Transfer-Encoding: chunked, identity\r\n",
           "Transfer-Encoding: identity\r\n",
           "Transfer-Encoding: xchunked\r\n",
           "Transfer-Encoding:\r\n",
       })
    EXPECT_EQ(status_of(with_fields(fields)), HeadStatus::malformed) << fields;
}

TEST(HttpHead, LengthsThatAreClear) {
  EXPECT_EQ(Read(with_fields("Content-Length: 0\r\n")).head.content_length, 0u);
  EXPECT_EQ(Read(with_fields("content-length:\t007 \r\n")).head.content_length, 7u);
  EXPECT_EQ(Read(with_fields("Content-Length: 1099511627775\r\n")).head.content_length,
            SG_HTTP_LENGTH_MAX - 1);
  EXPECT_TRUE(Read(with_fields("Transfer-Encoding: Chunked\r\n")).head.chunked);
}

// RFC 9112 section 6.1: HTTP/1.0 does not know chunks; a proxy in between would not either.
TEST(HttpHead, ChunksInHttp10AreRefused) {
  EXPECT_EQ(status_of("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
            HeadStatus::malformed);
}

TEST(HttpHead, AHundredFieldsAreReadAndOneMoreIsRefused) {
  std::string fields;
  for (int i = 0; i < SG_HTTP_FIELDS_MAX - 1; i++) fields += "a: b\r\n";
  EXPECT_EQ(status_of(with_fields(fields)), HeadStatus::complete);
  EXPECT_EQ(status_of(with_fields(fields + "a: b\r\n")), HeadStatus::malformed);
}

// Once malformed, no further byte may make a head of it.
TEST(HttpHead, WhatIsMalformedStaysSoWhateverFollows) {
  const std::string bad = "GET / HTTP/1.1\r\nHost: a\r\nX A: b";
  EXPECT_EQ(status_of(bad), HeadStatus::malformed);
  EXPECT_EQ(status_of(bad + "\r\n\r\n"), HeadStatus::malformed);
  EXPECT_EQ(status_of(bad + "\r\n\r\n" + with_fields("")), HeadStatus::malformed);
}

TEST(HeaderNames, AreFoundInAnyCaseAndOnlyWhole) {
  EXPECT_EQ(names.find("X-API-KEY"), 0u);
  EXPECT_EQ(names.find("cf-connecting-IP"), 1u);
  EXPECT_EQ(names.find("x-api-kez"), static_cast<uint32_t>(SG_KEY_HEADERS_MAX));
  EXPECT_EQ(names.find("x-api-ke"), static_cast<uint32_t>(SG_KEY_HEADERS_MAX));
  EXPECT_EQ(names.find(""), static_cast<uint32_t>(SG_KEY_HEADERS_MAX));
  EXPECT_EQ(names.find(std::string(1000, 'x')), static_cast<uint32_t>(SG_KEY_HEADERS_MAX));
}

// The policy's language allows 64 bytes; one that is never found would put all of its requests into
// the bucket of those that lack it.
TEST(HeaderNames, OfEveryLengthThatAPolicyMayHaveAreFound) {
  for (size_t length = 1; length <= SG_POLICY_NAME_BYTES_MAX; length++) {
    const std::string text(length, 'x');
    std::array<std::string_view, SG_KEY_HEADERS_MAX> views{};
    views[5] = text;
    EXPECT_EQ(HeaderNames(views).find(std::string(length, 'X')), 5u) << length;
    EXPECT_EQ(HeaderNames(views).find(std::string(length + 1, 'x')), uint32_t{SG_KEY_HEADERS_MAX});
  }
}

TEST(HeaderNames, AllSixteenAreFound) {
  std::array<std::string, SG_KEY_HEADERS_MAX> texts;
  std::array<std::string_view, SG_KEY_HEADERS_MAX> views;
  for (size_t i = 0; i < texts.size(); i++) views[i] = texts[i] = "x-" + std::to_string(10 + i);
  HeaderNames all(views);
  for (uint32_t i = 0; i < texts.size(); i++) EXPECT_EQ(all.find(texts[i]), i);
}

// --- the end of a head in pieces -----------------------------------------------------------------

TEST(FindHeadEnd, IsTheSameHoweverTheHeadIsCut) {
  const std::string head = "\r\nGET / HTTP/1.1\r\nHost: a\r\nX:\r\n\r\n";
  const std::string text = head + "GET /next";
  for (size_t cut = 0; cut <= head.size(); cut++) {
    const std::string_view first = std::string_view(text).substr(0, cut);
    const HeadEnd half = find_head_end(first, 0);
    if (cut < head.size()) {
      EXPECT_EQ(half.status, HeadStatus::incomplete) << cut;
    }
    const HeadEnd whole = find_head_end(text, cut < head.size() ? cut : 0);
    EXPECT_EQ(whole.status, HeadStatus::complete) << cut;
    EXPECT_EQ(whole.bytes, head.size()) << cut;
  }
}

TEST(FindHeadEnd, RefusesLinesThatEndOtherwiseAsSoonAsTheyDo) {
  for (std::string_view text : {"\n", "GET / HTTP/1.1\n", "GET / HTTP/1.1\r\nA: b\n\n", "A: b\rC",
                                "A: b\r\r\n", "A: b\r\n\n"})
    EXPECT_EQ(find_head_end(text, 0).status, HeadStatus::malformed) << text;
}

// What the reader of whole heads accepts ends where this says, and what this finds an end in the
// reader does not find incomplete.
TEST(FindHeadEnd, AgreesWithTheReaderOfWholeHeads) {
  for (std::string_view text :
       {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nrest",
        "GET / HTTP/1.0\r\n\r\n", "\r\n\r\n", "GET / HTTP/1.1\r\n\r\n"}) {
    HttpHead head;
    const HeadStatus status = read_http_head(text, {HeaderNames()}, head);
    const HeadEnd end = find_head_end(text, 0);
    EXPECT_EQ(end.status, HeadStatus::complete);
    EXPECT_NE(status, HeadStatus::incomplete);
    if (status == HeadStatus::complete) {
      EXPECT_EQ(end.bytes, head.length_bytes);
    }
  }
}

}  // namespace
}  // namespace surgegate
