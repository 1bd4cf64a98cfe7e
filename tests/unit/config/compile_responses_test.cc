// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <string>

#include "config/compile.h"
#include "config/image.h"
#include "tests/unit/config/policy_samples.h"

namespace surgegate {
namespace {

using samples::name;

// The answer as the dataplane would send it.
std::string answer_of(const ImageView& view, const sg_response& response) {
  std::string text(view.text(response.status_line));
  text += "Mon, 23 Nov 2026 21:17:00 GMT";
  if (response.retry_label.length_bytes) text += std::string(view.text(response.retry_label)) + "7";
  text += view.text(response.fields);
  text += view.text(response.body);
  return text;
}

policy::Response response(uint16_t status, std::string body = {}) {
  policy::Response response;
  response.name = name("slow-down");
  response.status.value = status;
  response.body = std::move(body);
  if (!response.body.empty()) response.content_type = "text/plain; charset=utf-8";
  return response;
}

Compiled compile_with(const policy::Response& response) {
  policy::Policy policy = samples::small();
  policy.responses = {response};
  return compile({policy});
}

std::string findings_of(const policy::Response& response, policy::Severity severity) {
  std::string text;
  for (const auto& finding : compile_with(response).findings)
    if (finding.severity == severity) text += finding.what + "\n";
  return text;
}

std::string faults_of(const policy::Response& response) {
  return findings_of(response, policy::Severity::fault);
}

std::string compiled_answer(const policy::Response& response) {
  const Compiled compiled = compile_with(response);
  auto view = ImageView::open(compiled.bytes);
  EXPECT_TRUE(view) << view.error();
  for (const sg_response& record : view->responses())
    if (view->text(record.name) == "slow-down") return answer_of(*view, record);
  return "none";
}

TEST(CompileResponses, ABareStatusIsACompleteAnswer) {
  const Compiled compiled = compile({samples::small()});
  auto view = ImageView::open(compiled.bytes);
  ASSERT_TRUE(view) << view.error();
  EXPECT_EQ(answer_of(*view, view->responses()[SG_RESPONSE_429]),
            "HTTP/1.1 429 Too Many Requests\r\n"
            "Date: Mon, 23 Nov 2026 21:17:00 GMT\r\n"
            "Retry-After: 7\r\n"
            "Content-Type: application/problem+json\r\n"
            "Content-Length: 63\r\n"
            "Connection: close\r\n"
            "\r\n"
            R"({"type":"about:blank","title":"Too Many Requests","status":429})");
  EXPECT_EQ(answer_of(*view, view->responses()[SG_RESPONSE_400]),
            "HTTP/1.1 400 Bad Request\r\n"
            "Date: Mon, 23 Nov 2026 21:17:00 GMT\r\n"
            "Content-Type: application/problem+json\r\n"
            "Content-Length: 57\r\n"
            "Connection: close\r\n"
            "\r\n"
            R"({"type":"about:blank","title":"Bad Request","status":400})");
  EXPECT_EQ(view->responses()[SG_RESPONSE_503].status, 503);
}

TEST(CompileResponses, ThePolicysOwnHeadersAndBodyAreSent) {
  policy::Response custom = response(403, "Go away.\n");
  custom.headers = {{"cache-control", "no-store"}, {"content-type", "text/plain"}};
  custom.content_type = "text/plain";
  EXPECT_EQ(compiled_answer(custom),
            "HTTP/1.1 403 Forbidden\r\n"
            "Date: Mon, 23 Nov 2026 21:17:00 GMT\r\n"
            "Content-Type: text/plain\r\n"
            "Content-Length: 9\r\n"
            "cache-control: no-store\r\n"
            "Connection: close\r\n"
            "\r\n"
            "Go away.\n");
}

TEST(CompileResponses, AStatusWithoutARegisteredPhraseHasNone) {
  EXPECT_EQ(compiled_answer(response(499, "x")).substr(0, 16), "HTTP/1.1 499 \r\nD");
}

TEST(CompileResponses, RetryAfterOnlyWhereItMeansSomething) {
  policy::Response custom = response(503, "x");
  custom.retry_after = policy::RetryAfter{5'000'000'000, 10'000'000'000};
  EXPECT_NE(compiled_answer(custom).find("Retry-After: 7"), std::string::npos);
  const Compiled compiled = compile_with(custom);
  const ImageView view = *ImageView::open(compiled.bytes);
  const sg_response& record = view.responses().back();
  EXPECT_EQ(record.retry_fixed, 1);
  EXPECT_EQ(record.retry_min_ns, 5'000'000'000u);
  EXPECT_EQ(record.retry_jitter_ns, 10'000'000'000u);
  EXPECT_EQ(view.responses()[SG_RESPONSE_429].retry_fixed, 0);  // the bucket knows
  for (uint16_t status : {403, 451, 502, 504}) {
    custom.status.value = status;
    EXPECT_EQ(compiled_answer(custom).find("Retry-After"), std::string::npos);
    EXPECT_NE(findings_of(custom, policy::Severity::warning).find("retry_after is not sent"),
              std::string::npos);
  }
}

// The answer is one segment: the last byte that fits, and the first that does not.
TEST(CompileResponses, AnAnswerFitsOneSegment) {
  const size_t head_bytes = compiled_answer(response(429, std::string(900, 'x'))).size() - 900;
  const size_t digits_more = SG_RETRY_DIGITS_MAX - 1;
  size_t body_bytes_max = SG_RESPONSE_BYTES_MAX - head_bytes - digits_more;
  if (body_bytes_max >= 1000) body_bytes_max--;  // its length takes one more digit
  EXPECT_EQ(faults_of(response(429, std::string(body_bytes_max, 'x'))), "");
  EXPECT_NE(faults_of(response(429, std::string(body_bytes_max + 1, 'x'))).find("is 1201 bytes"),
            std::string::npos);
}

TEST(CompileResponses, WithoutABodyTheProblemIsTheBody) {
  policy::Response bare = response(503);
  EXPECT_NE(compiled_answer(bare).find(R"("title":"Service Unavailable")"), std::string::npos);
  bare.headers = {{"content-type", "text/html"}};
  bare.content_type = "text/html";
  EXPECT_NE(compiled_answer(bare).find("Content-Type: text/html\r\nContent-Length: 0\r\n"),
            std::string::npos);
}

TEST(CompileResponses, OnlyAFinalStatusWithABodyAnswers) {
  for (uint16_t status : {0, 100, 101, 199, 204, 205, 304, 426, 600, 999})
    EXPECT_NE(faults_of(response(status, "x")).find("cannot answer"), std::string::npos) << status;
  for (uint16_t status : {200, 302, 400, 418, 429, 503, 599})
    EXPECT_EQ(faults_of(response(status, "x")), "") << status;
}

TEST(CompileResponses, ABareStatusIsNamedByALimitOrAList) {
  policy::Policy policy = samples::full();
  policy.limits[0].over.value.response = name("451");
  const Compiled compiled = compile({policy});
  const ImageView view = *ImageView::open(compiled.bytes);
  EXPECT_EQ(view.responses()[view.limits()[0].over_response].status, 451);
  for (const char* wrong : {"200", "99", "405", "426", "4290000000", "slow-dwon", "429 "}) {
    policy.limits[0].over.value.response = name(wrong);
    EXPECT_TRUE(compile({policy}).bytes.empty()) << wrong;
  }
}

// RFC 9110 section 15.5.2.
TEST(CompileResponses, ABare401NamesAScheme) {
  policy::Policy policy = samples::full();
  const Compiled compiled = compile({policy});
  const ImageView view = *ImageView::open(compiled.bytes);
  size_t bare = 0;
  for (const sg_response& record : view.responses()) {
    if (record.status != 401) continue;
    EXPECT_NE(answer_of(view, record).find("\r\nWWW-Authenticate: "), std::string::npos);
    bare++;
  }
  EXPECT_EQ(bare, 1u);
  EXPECT_NE(findings_of(response(401, "x"), policy::Severity::warning).find("www-authenticate"),
            std::string::npos);
}

}  // namespace
}  // namespace surgegate
