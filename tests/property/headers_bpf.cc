// SPDX-License-Identifier: BSD-3-Clause
// Property: XDP's compilation of config/headers.h reads in a frame what the workers' does, field by
// field; and the kernel accepts it. Needs root. HEADERS_BPF_OBJECT is the path of the compiled
// tests/unit/config/headers_bpf_compiles.c, CAPTURES that of tests/captures.
#define PCAP_DONT_INCLUDE_PCAP_BPF_H  // it has the same names as linux/bpf.h
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <pcap/pcap.h>
#include <sys/mman.h>

#include <cstring>
#include <filesystem>
#include <memory>
#include <vector>

#include "tests/support/seed.h"
#include "tests/unit/config/headers_bpf_answer.h"

namespace surgegate {
namespace {

using Frame = std::vector<uint8_t>;

constexpr size_t frame_bytes_min = 14;    // the kernel takes no shorter one for a test run,
constexpr size_t frame_bytes_max = 3000;  // nor one that does not fit its page

class XdpReader {
 public:
  XdpReader() : object_(bpf_object__open_file(HEADERS_BPF_OBJECT, nullptr), bpf_object__close) {
    if (object_ == nullptr || bpf_object__load(object_.get()) != 0) return;
    program_fd_ = bpf_program__fd(bpf_object__find_program_by_name(object_.get(), "read_headers"));
    void* address = mmap(nullptr, sizeof(headers_bpf_answer), PROT_READ | PROT_WRITE, MAP_SHARED,
                         bpf_object__find_map_fd_by_name(object_.get(), "answers"), 0);
    if (address != MAP_FAILED) answer_ = static_cast<headers_bpf_answer*>(address);
  }
  ~XdpReader() {
    if (answer_ != nullptr) munmap(answer_, sizeof(headers_bpf_answer));
  }

  bool ready() const { return answer_ != nullptr; }
  const headers_bpf_answer* read(const Frame& frame) const {
    std::memset(answer_, 0xee, sizeof(*answer_));
    bpf_test_run_opts run{};
    run.sz = sizeof(run);
    run.data_in = frame.data();
    run.data_size_in = static_cast<uint32_t>(frame.size());
    bool ran = bpf_prog_test_run_opts(program_fd_, &run) == 0 && run.retval == 0;
    return ran ? answer_ : nullptr;
  }

 private:
  std::unique_ptr<bpf_object, decltype(&bpf_object__close)> object_;
  int program_fd_ = -1;
  headers_bpf_answer* answer_ = nullptr;
};

std::vector<Frame> frames_of(const std::filesystem::path& path) {
  char error[PCAP_ERRBUF_SIZE];
  std::unique_ptr<pcap_t, decltype(&pcap_close)> pcap(pcap_open_offline(path.c_str(), error),
                                                      pcap_close);
  std::vector<Frame> frames;
  pcap_pkthdr* header = nullptr;
  const u_char* bytes = nullptr;
  while (pcap != nullptr && pcap_next_ex(pcap.get(), &header, &bytes) == 1)
    if (header->caplen >= frame_bytes_min && header->caplen <= frame_bytes_max)
      frames.emplace_back(bytes, bytes + header->caplen);
  return frames;
}

// Empty, or the first field in which two readings differ.
std::string difference(const headers_bpf_answer& a, const headers_bpf_answer& b) {
  if (a.found != b.found) return "found";
  const sg_packet &p = a.packet, &q = b.packet;
  if (std::memcmp(&p.tuple, &q.tuple, sizeof(p.tuple)) != 0) return "tuple";
#define SG_FIELD_DIFFERS(field) \
  if (p.field != q.field) return #field;
  SG_FIELD_DIFFERS(l3_offset)
  SG_FIELD_DIFFERS(l4_offset)
  SG_FIELD_DIFFERS(payload_offset)
  SG_FIELD_DIFFERS(payload_length)
  SG_FIELD_DIFFERS(l4_length)
  SG_FIELD_DIFFERS(mss)
  SG_FIELD_DIFFERS(seq)
  SG_FIELD_DIFFERS(ack)
  SG_FIELD_DIFFERS(ts_value)
  SG_FIELD_DIFFERS(ts_echo)
  SG_FIELD_DIFFERS(ip_version)
  SG_FIELD_DIFFERS(vlan_count)
  SG_FIELD_DIFFERS(tcp_flags)
  SG_FIELD_DIFFERS(has_timestamps)
  SG_FIELD_DIFFERS(window_scale)
  SG_FIELD_DIFFERS(addresses_read)
  SG_FIELD_DIFFERS(ports_read)
  SG_FIELD_DIFFERS(dscp_ecn)
#undef SG_FIELD_DIFFERS
  return std::memcmp(&p, &q, sizeof(p)) == 0 ? "" : "a field that this test does not know";
}

void expect_same(const XdpReader& xdp, const Frame& frame) {
  headers_bpf_answer here;
  std::memset(&here, 0, sizeof(here));
  here.found = sg_read_frame(frame.data(), frame.data() + frame.size(), &here.packet);
  const headers_bpf_answer* there = xdp.read(frame);
  ASSERT_NE(there, nullptr);
  ASSERT_EQ(difference(*there, here), "") << "in " << frame.size() << " bytes";
}

TEST(HeadersBpf, XdpReadsEveryCaptureAsWorkersDo) {
  const XdpReader xdp;
  ASSERT_TRUE(xdp.ready()) << "the kernel refuses the program (see above), or this is not root";
  size_t frames = 0;
  for (const auto& entry : std::filesystem::directory_iterator(CAPTURES)) {
    if (entry.path().extension().string().rfind(".pcap", 0) != 0) continue;
    for (const Frame& frame : frames_of(entry.path())) {
      ASSERT_NO_FATAL_FAILURE(expect_same(xdp, frame)) << entry.path() << ", frame " << frames;
      frames++;
    }
  }
  EXPECT_GT(frames, 5000u);
}

// Frames of real clients with a few bytes of their headers changed, and cut: what a stranger sends.
TEST(HeadersBpf, XdpReadsBrokenFramesAsWorkersDo) {
  const uint64_t seed = testing::first_seed();
  SCOPED_TRACE(testing::repeat_with(seed));
  std::mt19937_64 random(seed);
  const XdpReader xdp;
  ASSERT_TRUE(xdp.ready()) << "the kernel refuses the program (see above), or this is not root";
  std::vector<Frame> frames;
  for (const char* name : {"mixed.pcapng", "qinq.pcapng", "vlan.pcap", "fragments.pcap"})
    for (Frame& frame : frames_of(std::filesystem::path(CAPTURES) / name))
      frames.push_back(std::move(frame));
  uint64_t findings = 0;
  for (uint64_t i = 0; i < testing::rounds(30'000, 3'000'000); i++) {
    Frame frame = frames[random() % frames.size()];
    for (uint64_t k = random() % 4; k > 0; k--) {
      uint8_t& byte = frame[12 + random() % (std::min<size_t>(frame.size(), 90) - 12)];
      byte = static_cast<uint8_t>(random() % 2 == 0 ? random() : byte ^ 1u << random() % 8);
    }
    if (random() % 4 == 0)
      frame.resize(frame_bytes_min + random() % (frame.size() - frame_bytes_min + 1));
    ASSERT_NO_FATAL_FAILURE(expect_same(xdp, frame)) << "frame " << i;
    sg_packet packet;
    findings |= sg_read_frame(frame.data(), frame.data() + frame.size(), &packet);
  }
  for (uint64_t finding :
       {SG_FOUND(frame_cut), SG_FOUND(ip_header_cut), SG_FOUND(ip_header_invalid),
        SG_FOUND(ip_length_lies), SG_FOUND(ip_checksum), SG_FOUND(l4_cut),
        SG_FOUND(tcp_header_invalid), SG_FOUND(tcp_flags), SG_FOUND(fragment), SG_FOUND(not_ip)})
    EXPECT_NE(findings & finding, 0u) << finding;
}

}  // namespace
}  // namespace surgegate
