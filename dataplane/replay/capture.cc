// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/replay/capture.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace surgegate {
namespace {

constexpr int snap_length = 262'144;  // what tcpdump writes: more than any frame
constexpr uint64_t ns_per_s = 1'000'000'000;

}  // namespace

tl::expected<CaptureReader, std::string> CaptureReader::open(const std::string& path) {
  char error[PCAP_ERRBUF_SIZE] = "";
  pcap_t* pcap =
      pcap_open_offline_with_tstamp_precision(path.c_str(), PCAP_TSTAMP_PRECISION_NANO, error);
  if (pcap == nullptr) {
    std::string why = error;
    if (why.find(path) != 0) why = path + ": " + why;
    bool is_readable = access(path.c_str(), R_OK) == 0;
    return tl::unexpected(why + (is_readable ? " (a pcap or pcapng file is expected)" : ""));
  }
  CaptureReader reader(path, pcap);
  if (pcap_datalink(pcap) != DLT_EN10MB) {
    const char* name = pcap_datalink_val_to_name(pcap_datalink(pcap));
    return tl::unexpected(
        path + ": captured with link type " + (name ? name : "unknown") +
        ", Ethernet is expected: capture on an Ethernet interface, not on \"any\"");
  }
  return reader;
}

tl::expected<std::optional<CapturedPacket>, std::string> CaptureReader::next() {
  pcap_pkthdr* header = nullptr;
  const u_char* bytes = nullptr;
  int status = pcap_next_ex(pcap_.get(), &header, &bytes);
  if (status == PCAP_ERROR_BREAK) return std::nullopt;
  number_++;
  if (status != 1) return tl::unexpected(broken_here(pcap_geterr(pcap_.get())));
  // pcapng can name any time at all; what we write counts seconds in 32 bits, to the year 2106.
  if (header->ts.tv_sec < 0 || header->ts.tv_sec > UINT32_MAX)
    return tl::unexpected(fmt::format(
        "{}: broken capture: packet {} is of no time between 1970 and 2106", path_, number_));
  CapturedPacket packet;
  packet.time_ns = static_cast<uint64_t>(header->ts.tv_sec) * ns_per_s +
                   static_cast<uint64_t>(header->ts.tv_usec);  // nanoseconds: asked for at open
  packet.bytes = {bytes, header->caplen};
  packet.cut = header->caplen < header->len;
  return packet;
}

// tcpdump writes every packet up to the one that it cannot read, and then complains as we do.
std::string CaptureReader::broken_here(const char* why) const {
  std::string told =
      fmt::format("{}: broken capture: packet {} cannot be read: {}", path_, number_, why);
  if (number_ == 1 || path_ == "-") return told;
  return told + fmt::format("; to go on with the {} before it: tcpdump -r {} -w whole.pcap",
                            number_ - 1, path_);
}

tl::expected<CaptureWriter, std::string> CaptureWriter::open(const std::string& path) {
  auto name = OutputName::choose(path);
  if (!name) return tl::unexpected(name.error());
  CaptureWriter writer(std::move(*name));
  writer.pcap_.reset(
      pcap_open_dead_with_tstamp_precision(DLT_EN10MB, snap_length, PCAP_TSTAMP_PRECISION_NANO));
  writer.dumper_.reset(pcap_dump_open(writer.pcap_.get(), writer.name_.to_open().c_str()));
  if (writer.dumper_ == nullptr)
    return tl::unexpected(path + ": cannot be created: " + std::strerror(errno));
  return writer;
}

void CaptureWriter::write(uint64_t time_ns, std::span<const uint8_t> bytes) {
  pcap_pkthdr header{};
  header.ts.tv_sec = static_cast<time_t>(time_ns / ns_per_s);
  header.ts.tv_usec = static_cast<suseconds_t>(time_ns % ns_per_s);
  header.caplen = header.len = static_cast<bpf_u_int32>(bytes.size());
  pcap_dump(reinterpret_cast<u_char*>(dumper_.get()), &header, bytes.data());
  if (errno_ == 0 && std::ferror(pcap_dump_file(dumper_.get()))) errno_ = errno;
}

std::string CaptureWriter::finish() {
  return name_.finish(pcap_dump_file(dumper_.get()), errno_);
}

}  // namespace surgegate
