// SPDX-License-Identifier: BSD-3-Clause
#include "config/compile.h"

#include "config/compile_draft.h"

namespace surgegate {

Compiled compile(const CompileInput& input) {
  Compiled compiled;
  Draft draft(input, compiled.findings);
  compile_responses(draft);
  compile_lists(draft);
  compile_pools(draft);
  compile_signatures(draft);
  compile_limit_rules(draft);
  compile_services(draft);
  compile_other_patterns(draft);
  compile_vips(draft);
  compile_overrides(draft);
  remember_horizons(draft);
  if (draft.report().fault_count() > 0) return compiled;
  auto bytes = assemble_image(draft.sections, input.revision);
  if (bytes)
    compiled.bytes = std::move(*bytes);
  else
    draft.fault({}, bytes.error());
  return compiled;
}

}  // namespace surgegate
