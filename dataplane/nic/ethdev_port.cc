// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/nic/ethdev_port.h"

#include <rte_errno.h>
#include <rte_ethdev.h>

#include <algorithm>
#include <array>

#include "config/limits.h"

namespace surgegate {
namespace {

constexpr uint16_t queue = 0;
constexpr uint16_t descriptors = 512;

std::string start_device(uint16_t device, rte_mempool* pool) {
  rte_eth_conf conf{};
  int status = rte_eth_dev_configure(device, 1, 1, &conf);
  uint16_t rx = descriptors, tx = descriptors;
  if (status == 0) status = rte_eth_dev_adjust_nb_rx_tx_desc(device, &rx, &tx);
  if (status == 0) status = rte_eth_rx_queue_setup(device, queue, rx, SOCKET_ID_ANY, nullptr, pool);
  if (status == 0) status = rte_eth_tx_queue_setup(device, queue, tx, SOCKET_ID_ANY, nullptr);
  if (status == 0) status = rte_eth_dev_start(device);
  if (status == 0) return {};
  return std::string("the device could not be started: ") + rte_strerror(-status);
}

}  // namespace

tl::expected<std::unique_ptr<EthdevPort>, std::string> EthdevPort::start(uint16_t device_index,
                                                                         FramePool& pool) {
  if (device_index >= rte_eth_dev_count_avail())
    return tl::unexpected(std::string("there is no such device"));
  std::string fault = start_device(device_index, pool.handle());
  if (!fault.empty()) return tl::unexpected(fault);
  rte_ether_addr address;
  int status = rte_eth_macaddr_get(device_index, &address);
  if (status != 0)
    return tl::unexpected(std::string("the device tells no link address: ") +
                          rte_strerror(-status));
  MacAddress mac;
  std::copy_n(address.addr_bytes, mac.size(), mac.begin());
  return std::unique_ptr<EthdevPort>(new EthdevPort(device_index, mac, pool));
}

EthdevPort::~EthdevPort() {
  rte_eth_dev_stop(device_);
  rte_eth_dev_close(device_);
}

uint32_t EthdevPort::receive(std::span<Frame> frames) {
  std::array<rte_mbuf*, SG_BURST_PACKETS_MAX> mbufs;
  auto wanted = static_cast<uint16_t>(std::min(frames.size(), mbufs.size()));
  uint16_t count = rte_eth_rx_burst(device_, queue, mbufs.data(), wanted);
  uint32_t kept = 0;
  for (uint16_t i = 0; i < count; i++) {
    Frame frame = FramePool::to_frame(mbufs[i]);
    if (!is_ours(frame)) continue;
    frame.number = ++received_;
    frames[kept++] = frame;
  }
  return kept;
}

// Where not, the frame has gone where it belongs.
bool EthdevPort::is_ours(const Frame& frame) {
  if (frame.length >= mac_.size() && std::equal(mac_.begin(), mac_.end(), frame.bytes)) return true;
  if (frame.length >= mac_.size() && (frame.bytes[0] & 1) != 0) {  // the group bit
    frames_for_all_++;
    to_kernel({&frame, 1});
  } else {
    frames_of_others_++;
    discard({&frame, 1});
  }
  return false;
}

uint32_t EthdevPort::transmit(std::span<const Frame> frames) {
  uint32_t sent = 0;
  while (sent < frames.size()) {
    std::array<rte_mbuf*, SG_BURST_PACKETS_MAX> mbufs;
    auto count = static_cast<uint16_t>(std::min(frames.size() - sent, mbufs.size()));
    for (uint16_t i = 0; i < count; i++) mbufs[i] = FramePool::to_mbuf(frames[sent + i]);
    uint16_t taken = rte_eth_tx_burst(device_, queue, mbufs.data(), count);
    sent += taken;
    if (taken < count) break;
  }
  return sent;
}

void EthdevPort::discard(std::span<const Frame> frames) {
  for (const Frame& frame : frames) FramePool::free(frame);
}

}  // namespace surgegate
