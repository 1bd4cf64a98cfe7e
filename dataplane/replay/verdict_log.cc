// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/replay/verdict_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "dataplane/path/decide.h"
#include "dataplane/replay/names.h"
#include "dataplane/replay/replay_port.h"

namespace surgegate {

void VerdictLog::see(const Lane& lane, Instant) {
  uint64_t time_ns = fates_.time_ns(lane.frame.number);
  nlohmann::ordered_json line;
  line["packet"] = lane.frame.number;
  line["time"] = fmt::format("{}.{:09}", time_ns / 1'000'000'000, time_ns % 1'000'000'000);
  line["flow"] = flow_name(lane.packet);
  if (lane.has_client && !std::equal(lane.request.client_ip.begin(), lane.request.client_ip.end(),
                                     lane.packet.tuple.src_ip))
    line["client"] = address_name(lane.request.client_ip.data());
  if (lane.service != nullptr) line["service"] = service_name(image_, lane.service_index);
  line["step"] = name_of(rules()[lane.reason].step);
  line["verdict"] = name_of(lane.verdict);
  line["reason"] = rules()[lane.reason].name;
  if (lane.backend_slot != SG_NONE16) line["backend"] = backend_name(image_, lane.backend_slot);
  if (lane.refusing_limit != SG_NONE16)
    line["limit"] = image_.text(image_.limits()[lane.refusing_limit].name);
  if (lane.would_refuse_limit != SG_NONE16)
    line["would_refuse"] = image_.text(image_.limits()[lane.would_refuse_limit].name);
  if (lane.pattern != SG_NONE32) {
    line["signature"] = image_.text(image_.signatures()[lane.signature_set].name);
    line["pattern"] = image_.text(image_.patterns()[lane.pattern].text);
  }
  // What came off the wire need not be UTF-8; what goes into the log must.
  file_.write(line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

}  // namespace surgegate
