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

#include "dataplane/replay/output_file.h"

namespace surgegate {

struct CapturedPacket {
  uint64_t time_ns = 0;            // since 1970
  std::span<const uint8_t> bytes;  // valid until the next read
  bool cut = false;                // the capture holds only the frame's beginning
};

struct PcapClose {
  void operator()(pcap_t* pcap) const { pcap_close(pcap); }
  void operator()(pcap_dumper_t* dumper) const { pcap_dump_close(dumper); }
};

class CaptureReader {
 public:
  // Ethernet captures only; the error names the file and what is wrong with it.
  static tl::expected<CaptureReader, std::string> open(const std::string& path);

  // The next packet; nullopt at the end. A file that breaks off in the middle is an error, which
  // says at which packet and what to do.
  tl::expected<std::optional<CapturedPacket>, std::string> next();

 private:
  CaptureReader(std::string path, pcap_t* pcap) : path_(std::move(path)), pcap_(pcap) {}
  std::string broken_here(const char* why) const;
  std::string path_;
  std::unique_ptr<pcap_t, PcapClose> pcap_;
  uint64_t number_ = 0;  // of the packet last read, from 1
};

// Takes its place only when it is complete: see OutputName.
class CaptureWriter {
 public:
  static tl::expected<CaptureWriter, std::string> open(const std::string& path);

  void write(uint64_t time_ns, std::span<const uint8_t> bytes);
  // Flushes and checks: a full disk is told here. Empty on success.
  std::string finish();
  std::string place() { return name_.place(); }

 private:
  explicit CaptureWriter(OutputName name) : name_(std::move(name)) {}
  OutputName name_;
  std::unique_ptr<pcap_t, PcapClose> pcap_;
  std::unique_ptr<pcap_dumper_t, PcapClose> dumper_;
  int errno_ = 0;  // of the first write that failed
};

}  // namespace surgegate
