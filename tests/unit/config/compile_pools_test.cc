// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <string>

#include "config/compile.h"
#include "config/image.h"
#include "tests/unit/config/policy_samples.h"

namespace surgegate {
namespace {

using samples::backend;
using samples::ipv4;

// A chain of images, each made with the one before.
class History {
 public:
  void add(const policy::Policy& policy) {
    ImageBytes next;
    {
      Compiled compiled = compile({policy, ++revision_, bytes_.empty() ? nullptr : &*view_});
      for (const auto& finding : compiled.findings) EXPECT_EQ(finding.what, "");
      next = std::move(compiled.bytes);
    }
    bytes_ = std::move(next);
    auto view = ImageView::open(bytes_);
    ASSERT_TRUE(view) << view.error();
    view_ = *view;
  }
  const ImageView& view() const { return *view_; }

  // Null where no live slot has this name.
  const sg_backend* live(std::string_view name) const {
    for (const sg_backend& slot : view_->backends())
      if (view_->text(slot.name) == name &&
          (slot.state == SG_BACKEND_ACTIVE || slot.state == SG_BACKEND_DRAIN))
        return &slot;
    return nullptr;
  }
  uint16_t slot_of(std::string_view name) const {
    return static_cast<uint16_t>(live(name) - view_->backends().data());
  }
  std::span<const uint16_t> current(size_t pool) const {
    const sg_pool& record = view_->pools()[pool];
    return view_->maglev().subspan(record.maglev_first, record.maglev_size);
  }
  std::span<const uint16_t> before(size_t pool) const {
    const sg_pool& record = view_->pools()[pool];
    return view_->maglev_previous().subspan(record.previous_first, record.previous_size);
  }

 private:
  ImageBytes bytes_;
  std::optional<ImageView> view_;
  uint64_t revision_ = 0;
};

policy::Policy pool_of(std::vector<std::string> names) {
  policy::Policy policy = samples::small();
  policy.pools[0].backends.clear();
  for (const auto& name : names)
    policy.pools[0].backends.push_back(backend(name, ipv4(10, 0, 0, 1)));
  return policy;
}

std::vector<uint16_t> copy(std::span<const uint16_t> table) {
  return {table.begin(), table.end()};
}

TEST(CompilePools, ABackendKeepsItsSlotWhereverItIsMovedTo) {
  History history;
  history.add(pool_of({"a", "b", "c"}));
  const uint16_t b = history.slot_of("web/b");
  history.add(pool_of({"c", "new", "b"}));
  EXPECT_EQ(history.slot_of("web/b"), b);
  EXPECT_EQ(history.live("web/b")->generation, 1);
  EXPECT_EQ(history.live("web/a"), nullptr);
  EXPECT_NE(history.slot_of("web/new"), 0);  // a's slot is not given away while others are free
  EXPECT_EQ(history.view().backends()[0].state, SG_BACKEND_GONE);
  EXPECT_EQ(history.view().backends()[0].gone_revision, 2u);
}

TEST(CompilePools, ABackendThatComesBackIsItself) {
  History history;
  history.add(pool_of({"a", "b"}));
  history.add(pool_of({"b"}));
  history.add(pool_of({"b", "a"}));
  EXPECT_EQ(history.slot_of("web/a"), 0);
  EXPECT_EQ(history.live("web/a")->generation, 1);
  EXPECT_EQ(history.live("web/a")->gone_revision, 0u);
}

TEST(CompilePools, DrainingAndWeightlessBackendsTakeNoNewFlows) {
  policy::Policy policy = pool_of({"a", "b", "c", "d"});
  policy.pools[0].backends[1].drain.value = true;
  policy.pools[0].backends[2].weight = 0;
  History history;
  history.add(policy);
  EXPECT_EQ(history.live("web/b")->state, SG_BACKEND_DRAIN);
  std::set<uint16_t> slots;
  for (uint16_t slot : history.current(0)) slots.insert(slot);
  EXPECT_EQ(slots, (std::set<uint16_t>{0, 3}));
  for (auto& each : policy.pools[0].backends) each.drain.value = true;
  history.add(policy);
  EXPECT_EQ(history.view().pools()[0].maglev_size, 0u);
}

TEST(CompilePools, LargePoolsGetTheLargeTable) {
  std::vector<std::string> names;
  for (int i = 0; i < 656; i++) names.push_back(fmt::format("b{}", i));
  History history;
  history.add(pool_of(names));
  EXPECT_EQ(history.view().pools()[0].maglev_size, 655'373u);
  names.pop_back();
  history.add(pool_of(names));
  EXPECT_EQ(history.view().pools()[0].maglev_size, 65'537u);
}

TEST(CompilePools, ThePreviousTableIsTheOneBeforeThePoolsLastChange) {
  History history;
  history.add(pool_of({"a", "b"}));
  EXPECT_EQ(copy(history.before(0)), copy(history.current(0)));
  const auto first = copy(history.current(0));
  history.add(pool_of({"a", "b", "c"}));
  EXPECT_EQ(copy(history.before(0)), first);
  EXPECT_NE(copy(history.current(0)), first);
  // A change elsewhere: this pool's own last change is not forgotten.
  policy::Policy elsewhere = pool_of({"a", "b", "c"});
  elsewhere.limits = {samples::limit("per-client", 10, 10)};
  elsewhere.services[0].limits = {elsewhere.limits[0].name};
  history.add(elsewhere);
  EXPECT_EQ(copy(history.before(0)), first);
}

TEST(CompilePools, ThePreviousTableMayNameABackendThatHasGone) {
  History history;
  history.add(pool_of({"a", "b"}));
  history.add(pool_of({"b"}));
  const auto before = copy(history.before(0));
  EXPECT_NE(std::find(before.begin(), before.end(), 0), before.end());
  EXPECT_EQ(history.view().backends()[0].state, SG_BACKEND_GONE);
}

TEST(CompilePools, PoolsAreKnownByNameNotByPlace) {
  policy::Policy policy = pool_of({"a", "b"});
  policy.pools.push_back(samples::pool("other", {backend("x", ipv4(10, 0, 0, 9))}));
  History history;
  history.add(policy);
  const auto web = copy(history.current(0));
  std::swap(policy.pools[0], policy.pools[1]);
  policy.pools[1].backends[0].weight = 7;
  history.add(policy);
  EXPECT_EQ(copy(history.before(1)), web);
  policy.pools.erase(policy.pools.begin());  // `other` is gone: its slot belongs to no pool
  history.add(policy);
  for (const sg_backend& slot : history.view().backends())
    if (slot.state == SG_BACKEND_GONE) {
      EXPECT_EQ(slot.pool, SG_NONE16);
    }
}

// When every slot was used once, the backend that went longest ago gives its own; who left in this
// very change is last.
TEST(CompilePools, TheLongestGoneSlotIsReusedFirst) {
  std::vector<std::string> names;
  for (int i = 0; i < SG_BACKENDS_MAX; i++) names.push_back(fmt::format("b{}", i));
  History history;
  history.add(pool_of(names));
  for (const char* leaving : {"b70", "b30", "b50"}) {
    std::erase(names, leaving);
    history.add(pool_of(names));
  }
  EXPECT_GT(std::ranges::count(history.before(0), 50), 0);
  names.insert(names.end(), {"n1", "n2", "n3"});
  policy::Policy policy = pool_of(names);
  for (size_t i = names.size() - 3; i < names.size(); i++) policy.pools[0].backends[i].weight = 0;
  history.add(policy);
  EXPECT_EQ(history.slot_of("web/n1"), 70);
  EXPECT_EQ(history.slot_of("web/n2"), 30);
  EXPECT_EQ(history.slot_of("web/n3"), 50);
  EXPECT_EQ(history.live("web/n3")->generation, 2);
  // The table before the last change meant b50, not n3: where it was, nobody is.
  EXPECT_EQ(std::ranges::count(history.before(0), 50), 0);
  EXPECT_GT(std::ranges::count(history.before(0), SG_NONE16), 0);
  std::erase(names, "b9");
  names.push_back("n4");
  history.add(pool_of(names));
  EXPECT_EQ(history.slot_of("web/n4"), 9);
  names.push_back("n5");
  const Compiled full = compile({pool_of(names), 99, &history.view()});
  ASSERT_EQ(full.findings.size(), 1u);
  EXPECT_NE(full.findings[0].what.find("backend web/n5 is one too many"), std::string::npos);
}

uint64_t seed_of_this_run() {
  const char* text = std::getenv("SURGEGATE_SEED");
  const uint64_t seed = text ? std::strtoull(text, nullptr, 10) : std::random_device{}();
  fmt::print("SURGEGATE_SEED={}\n", seed);
  return seed;
}

// Any sequence of changes: nobody's slot or generation changes while it lives, and whoever gets a
// slot that was another's gets a generation that the slot never had.
TEST(CompilePools, SlotsOutliveAnySequenceOfChanges) {
  std::mt19937_64 random(seed_of_this_run());
  const int changes = std::getenv("SURGEGATE_LONG") ? 400 : 40;
  std::vector<std::string> pools = {"p0", "p1", "p2"};
  std::set<std::pair<int, int>> alive;  // pool and number
  std::map<std::string, std::pair<uint16_t, uint16_t>> before;
  std::map<uint16_t, std::set<std::pair<uint16_t, std::string>>> owners;
  History history;
  int next_number = 0;
  for (int change = 0; change < changes; change++) {
    // Large waves of newcomers, so that slots run out and are reused.
    for (uint64_t i = 0, n = random() % 400; i < n; i++)
      if (alive.size() < SG_BACKENDS_MAX)
        alive.insert({static_cast<int>(random() % 3), next_number++});
    for (auto it = alive.begin(); it != alive.end();)
      it = random() % 3 == 0 ? alive.erase(it) : std::next(it);
    policy::Policy policy = samples::small();
    policy.pools.clear();
    std::shuffle(pools.begin(), pools.end(), random);
    for (const auto& pool : pools) {
      policy.pools.push_back(samples::pool(pool, {}));
      for (auto [of, number] : alive)
        if (fmt::format("p{}", of) == pool)
          policy.pools.back().backends.push_back(
              backend(fmt::format("b{}", number), ipv4(10, 0, 0, 1), random() % 4));
      std::shuffle(policy.pools.back().backends.begin(), policy.pools.back().backends.end(),
                   random);
    }
    policy.services[0].pool = policy.pools[0].name;
    history.add(policy);
    ASSERT_FALSE(HasFatalFailure());
    std::map<std::string, std::pair<uint16_t, uint16_t>> now;
    for (auto [of, number] : alive) {
      const std::string name = fmt::format("p{}/b{}", of, number);
      const sg_backend* slot = history.live(name);
      ASSERT_NE(slot, nullptr) << name;
      now[name] = {history.slot_of(name), slot->generation};
      if (auto old = before.find(name); old != before.end()) {
        ASSERT_EQ(old->second, now[name]) << name;
      }
    }
    for (const auto& [name, place] : now) {
      owners[place.first].insert({place.second, name});
      auto& of_slot = owners[place.first];
      for (const auto& [generation, owner] : of_slot) {
        if (owner != name) {
          ASSERT_NE(generation, place.second) << name << " " << owner;
        }
      }
    }
    before = std::move(now);
  }
  const bool some_reused =
      std::ranges::any_of(owners, [](const auto& slot) { return slot.second.size() > 1; });
  EXPECT_TRUE(some_reused);
}

}  // namespace
}  // namespace surgegate
