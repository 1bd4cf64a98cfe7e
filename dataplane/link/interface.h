// SPDX-License-Identifier: BSD-3-Clause
// What the kernel says of the interface that a gate stands at.
#pragma once

#include <string>
#include <utility>

namespace surgegate {

enum class LinkState { up, no_carrier, down, gone };

// Empty, or why a gate cannot stand at it. It is there when this is asked.
std::string interface_fault(const std::string& interface);

// Supervisor thread. What changes back between two looks goes unseen: this is there to say why
// nothing passes, and so short a pause is no reason for that.
class LinkWatch {
 public:
  // index: of the interface when the gate came to it. Another one of its name is not the gate's:
  // the sockets stay with what they were bound to.
  LinkWatch(std::string interface, int index) : interface_(std::move(interface)), index_(index) {}

  // What changed since the last time, a line without its end; empty where nothing did.
  std::string look();

  bool is_gone() const { return state_ == LinkState::gone; }

 private:
  std::string interface_;
  int index_;
  LinkState state_ = LinkState::up;
};

}  // namespace surgegate
