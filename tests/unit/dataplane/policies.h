// SPDX-License-Identifier: BSD-3-Clause
// Policies for tests of the journey's steps.
#pragma once

#include <string>

namespace surgegate::testing {

// services: the text below `services:`'s own lines that is the service's; limits likewise.
inline std::string shop(const std::string& limits = "", const std::string& of_service = "",
                        const std::string& backends = "web1: {address: 10.0.1.1}",
                        const std::string& forward = "l2") {
  return "version: 1\n" + limits +
         "services:\n"
         "  shop:\n"
         "    vips: [\"198.51.100.10:80\", \"[2001:db8::10]:80\"]\n"
         "    protocol: http\n"
         "    pool: web\n" +
         of_service +
         "  names:\n"
         "    vips: [\"198.51.100.53:53\", \"[2001:db8::53]:53\"]\n"
         "    protocol: udp\n"
         "    pool: web\n"
         "pools:\n"
         "  web: {forward: " +
         forward + ", backends: {" + backends + "}}\n";
}

inline std::string limited(const std::string& limit) {
  return shop("limits:\n  per-client: " + limit + "\n", "    limits: [per-client]\n");
}

}  // namespace surgegate::testing
