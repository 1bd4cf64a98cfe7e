// SPDX-License-Identifier: BSD-3-Clause
// Property: what XDP's compilation of config/bucket.h does to a table is, bit for bit, what the
// workers' does; and the kernel accepts it. Needs root. BUCKET_BPF_OBJECT is the path of the
// compiled tests/unit/config/bucket_bpf_compiles.c.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <array>
#include <cstring>
#include <memory>

#include "tests/property/bucket_reference.h"
#include "tests/unit/config/bucket_bpf_question.h"

namespace surgegate {
namespace {

using Sets = std::array<sg_bucket_set, BUCKET_BPF_SETS>;

class XdpTable {
 public:
  XdpTable() : object_(bpf_object__open_file(BUCKET_BPF_OBJECT, nullptr), bpf_object__close) {
    if (object_ == nullptr || bpf_object__load(object_.get()) != 0) return;
    program_fd_ = bpf_program__fd(bpf_object__find_program_by_name(object_.get(), "charge"));
    void* address = mmap(nullptr, sizeof(Sets), PROT_READ | PROT_WRITE, MAP_SHARED,
                         bpf_object__find_map_fd_by_name(object_.get(), "sg_buckets"), 0);
    if (address != MAP_FAILED) sets_ = static_cast<Sets*>(address);
  }
  ~XdpTable() {
    if (sets_ != nullptr) munmap(sets_, sizeof(Sets));
  }

  bool ready() const { return sets_ != nullptr; }
  const Sets& sets() const { return *sets_; }

  int ask(const bucket_bpf_question& question) const {
    bpf_test_run_opts run{};
    run.sz = sizeof(run);
    run.data_in = &question;
    run.data_size_in = sizeof(question);
    return bpf_prog_test_run_opts(program_fd_, &run) == 0 ? static_cast<int>(run.retval) : -1;
  }

 private:
  std::unique_ptr<bpf_object, decltype(&bpf_object__close)> object_;
  int program_fd_ = -1;
  Sets* sets_ = nullptr;
};

int ask_here(Sets& sets, const bucket_bpf_question& question) {
  sg_bucket_set& set = sets[sg_bucket_set_index(question.key_hash, sets.size())];
  const uint64_t tag = sg_bucket_tag(question.key_hash);
  sg_bucket_view view;
  uint32_t lost_races = 0;
  const sg_bucket_outcome outcome = sg_bucket_charge(&set, tag, &question.rule, question.units,
                                                     question.now_ns, &view, &lost_races);
  if (!question.gives_back || !sg_bucket_is_charged(outcome)) return outcome;
  return outcome | sg_bucket_give_back(&set.cells[view.cell], tag,
                                       question.units * question.rule.interval_ns, question.now_ns,
                                       &lost_races)
                       << 8;
}

TEST(BucketBpf, XdpAndWorkersDoTheSameToTheBit) {
  const uint64_t seed = testing::first_seed();
  SCOPED_TRACE(testing::repeat_with(seed));
  std::mt19937_64 random(seed);
  const XdpTable xdp;
  ASSERT_TRUE(xdp.ready()) << "the kernel refuses the program (see above), or this is not root";
  Sets here{};
  const std::vector<sg_bucket_rule> rules = unleased_rules();
  uint64_t now_ns = (1ull << SG_TAT_BITS) - one_hour, step_ns = 1;
  std::array<uint64_t, 5> outcomes{};
  for (uint64_t i = 0; i < testing::rounds(20000, 2000000); i++) {
    if (i % 50 == 0) step_ns = 1ull << below(random, 40);
    // Few tags and many rules: full sets, foreign tags and twins all occur.
    const bucket_bpf_question question = {
        (below(random, 12) << SG_TAT_BITS) | below(random, BUCKET_BPF_SETS), now_ns,
        pick(random, rules), static_cast<uint32_t>(1 + below(random, 3)), below(random, 8) == 0};
    const int answer = xdp.ask(question);
    ASSERT_EQ(answer, ask_here(here, question)) << "question " << i;
    ASSERT_EQ(std::memcmp(&xdp.sets(), &here, sizeof(here)), 0) << "question " << i;
    outcomes[static_cast<size_t>(answer & 0xff)]++;
    if (below(random, 4) == 0) now_ns += below(random, step_ns + 1);
  }
  for (const int outcome : {SG_BUCKET_CHARGED, SG_BUCKET_CHARGED_EVICTING, SG_BUCKET_REFUSED,
                            SG_BUCKET_REFUSED_SET_FULL})
    EXPECT_GT(outcomes[static_cast<size_t>(outcome)], 0u) << outcome;
}

}  // namespace
}  // namespace surgegate
