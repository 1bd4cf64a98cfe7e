// SPDX-License-Identifier: BSD-3-Clause
// Capture files, by libpcap: pcap and pcapng in, pcap with nanoseconds out.
#pragma once

#include <pcap/pcap.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tl/expected.hpp>

namespace surgegate {

struct CapturedPacket {
  uint64_t time_ns = 0;  // since 1970
  std::span<const uint8_t> bytes;  // valid until the next read
  bool cut = false;  // the capture holds only the frame's beginning
};

struct PcapClose {
  void operator()(pcap_t* pcap) const { pcap_close(pcap); }
  void operator()(pcap_dumper_t* dumper) const { pcap_dump_close(dumper); }
};

class CaptureReader {
 public:
  // Ethernet captures only; the error names the file and what is wrong with it.
  static tl::expected<CaptureReader, std::string> open(const std::string& path);

  // The next packet; nullopt at the end. A file that breaks off in the middle is an error.
  tl::expected<std::optional<CapturedPacket>, std::string> next();

 private:
  CaptureReader(std::string path, pcap_t* pcap) : path_(std::move(path)), pcap_(pcap) {}
  std::string path_;
  std::unique_ptr<pcap_t, PcapClose> pcap_;
};

// Writes beside `path` and takes its place only on commit(), so that an earlier good file is never
// left half overwritten. Without commit() nothing remains.
class CaptureWriter {
 public:
  static tl::expected<CaptureWriter, std::string> open(const std::string& path);
  ~CaptureWriter();
  CaptureWriter(CaptureWriter&& other) noexcept = default;
  CaptureWriter& operator=(CaptureWriter&&) = delete;

  void write(uint64_t time_ns, std::span<const uint8_t> bytes);
  // Empty on success.
  std::string commit();

 private:
  CaptureWriter() = default;
  std::string path_;
  std::string temporary_path_;
  std::unique_ptr<pcap_t, PcapClose> pcap_;
  std::unique_ptr<pcap_dumper_t, PcapClose> dumper_;
};

}  // namespace surgegate
