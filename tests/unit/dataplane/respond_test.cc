// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/path/respond.h"

#include <gtest/gtest.h>

#include <ctime>
#include <random>
#include <set>

#include "tests/support/client.h"
#include "tests/support/journey.h"
#include "tests/support/policy_text.h"
#include "tests/support/seed.h"
#include "tests/unit/dataplane/policies.h"

namespace surgegate {
namespace {

using testing::Bytes;
using testing::Client;
using testing::get;
using testing::Journey;
using testing::policy_in_force;

std::string date_of(uint64_t unix_s) {
  return std::string(HttpDate().at(unix_s), HttpDate::length);
}

// The C library's calendar.
std::string expected_date(uint64_t unix_s) {
  const auto at = static_cast<time_t>(unix_s);
  tm parts;
  gmtime_r(&at, &parts);
  char text[64];
  strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &parts);  // in the C locale
  return text;
}

// RFC 9110 section 5.6.7.
TEST(HttpDate, IsTheOneOfTheStandardsExample) {
  EXPECT_EQ(date_of(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
}

TEST(HttpDate, AgreesWithTheLibraryOnEveryDayForFourCenturies) {
  for (uint64_t day = 0; day < 146'097; day++)
    ASSERT_EQ(date_of(day * 86'400 + day % 86'400), expected_date(day * 86'400 + day % 86'400));
}

TEST(HttpDate, AgreesWithTheLibraryAtRandomSeconds) {
  const uint64_t seed = testing::first_seed();
  SCOPED_TRACE(testing::repeat_with(seed));
  std::mt19937_64 random(seed);
  for (int i = 0; i < 20'000; i++) {
    const uint64_t second = random() % 200'000'000'000;  // until the year 8307
    ASSERT_EQ(date_of(second), expected_date(second));
  }
}

TEST(HttpDate, IsRewrittenWhenTheSecondChangesAndNotBefore) {
  HttpDate date;
  EXPECT_EQ(std::string(date.at(59), 29), expected_date(59));
  EXPECT_EQ(std::string(date.at(60), 29), expected_date(60));
  EXPECT_EQ(std::string(date.at(60), 29), expected_date(60));
  EXPECT_EQ(std::string(date.at(0), 29), expected_date(0));
}

std::string text_of(const Bytes& frame) {
  return {frame.begin(), frame.end()};
}

// What Retry-After says in an answer, or -1.
int retry_after(const Bytes& frame) {
  const std::string text = text_of(frame);
  const size_t at = text.find("\r\nRetry-After: ");
  return at == std::string::npos ? -1 : std::stoi(text.substr(at + 15));
}

testing::Fate refused(Journey& journey, uint16_t port, const std::string& request = get()) {
  Client client("192.0.2.1", port);
  journey.send(client.open());
  journey.send(client.acknowledge());
  return journey.send(client.send(request));
}

TEST(Respond, AFixedWaitIsSpreadOverItsJitter) {
  Journey journey(
      policy_in_force(testing::shop("responses:\n"
                                    "  full: {status: 503, retry_after: {min: 5s, jitter: 10s}}\n"
                                    "limits:\n"
                                    "  all: {key: [], rate: 1/h, burst: 1, over: full}\n",
                                    "    limits: [all]\n")),
      {.flows_min = 4096});
  ASSERT_EQ(refused(journey, 1).verdict, SG_VERDICT_forwarded);
  std::set<int> waits;
  for (uint16_t port = 2; port < 302; port++) {
    const int wait = retry_after(refused(journey, port).sent.at(0));
    EXPECT_GE(wait, 5);
    EXPECT_LE(wait, 15);
    waits.insert(wait);
  }
  EXPECT_GE(waits.size(), 9u) << "those who were refused together must not come back together";
}

TEST(Respond, TheWaitIsNeverToldAsNothing) {
  Journey journey(policy_in_force(testing::limited("{key: [client], rate: 1000/s, burst: 1}")));
  refused(journey, 1);
  EXPECT_EQ(retry_after(refused(journey, 2).sent.at(0)), 1);
}

// Whoever waits as long as he is told is served, at any rate.
TEST(Respond, TheWaitThatIsToldIsLongEnough) {
  for (const char* rate : {"1/h", "7/min", "13/min", "2/s", "3/s", "900/s"}) {
    Journey journey(policy_in_force(
        testing::limited("{key: [client], rate: " + std::string(rate) + ", burst: 1}")));
    refused(journey, 1);
    const int wait = retry_after(refused(journey, 2).sent.at(0));
    journey.at(static_cast<uint64_t>(wait) * 1'000'000'000);
    EXPECT_EQ(refused(journey, 3).verdict, SG_VERDICT_forwarded) << rate << ", told " << wait;
  }
}

// Every length of frame that a request can have, down to a head of 18 bytes in a frame with no room
// behind it: the answer never grows beyond the buffer, which ends at a page that nobody may touch.
TEST(Respond, TheAnswerNeverGrowsBeyondItsBuffer) {
  for (size_t room = 0; room < 300; room++) {
    Journey journey(policy_in_force(testing::limited("{key: [client], rate: 1/h, burst: 1}")));
    refused(journey, 1);
    Client client("192.0.2.1", 2);
    journey.send(client.open());
    journey.send(client.acknowledge());
    journey.port().room.back = room;
    const testing::Fate fate = journey.send(client.send("GET / HTTP/1.0\r\n\r\n"));
    ASSERT_EQ(fate.verdict, SG_VERDICT_answered);
    ASSERT_LE(fate.sent.at(0).size(), 14u + 40 + 18 + room);
    ASSERT_EQ(journey.conservation_fault(), "");
  }
}

}  // namespace
}  // namespace surgegate
