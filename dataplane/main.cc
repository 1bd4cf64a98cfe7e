// SPDX-License-Identifier: BSD-3-Clause
// The command line of `surgegate`.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string_view>
#include <vector>

#include "config/limits.h"
#include "dataplane/commands.h"
#include "dataplane/live/run.h"
#include "dataplane/replay/replay.h"

namespace {

struct Options {
  surgegate::ReplayOptions replay;
  surgegate::RunOptions run;
  surgegate::CheckOptions check;
  surgegate::ExplainRulesOptions explain_rules;
};

void add_replay(CLI::App& app, surgegate::ReplayOptions& options) {
  CLI::App* replay = app.add_subcommand("replay", "Take a capture file through the gate");
  replay->add_option("--policy", options.policy_path, "The policy to judge by")->required();
  replay->add_option("--in", options.in_path, "A pcap or pcapng of Ethernet frames, - for stdin")
      ->required();
  replay->add_option("--out", options.out_path, "Where to write what the gate sends (pcap)")
      ->required();
  replay->add_option("--verdicts", options.verdicts_path, "Write one JSON line for each packet");
  replay->add_flag("--json", options.json, "Print the report as JSON");
  replay->add_option("--workers", options.workers, "How many workers share the packets")
      ->check(CLI::Range(1, SG_WORKERS_MAX).description(""))
      ->type_name(fmt::format("1..{}", SG_WORKERS_MAX))
      ->capture_default_str();
  replay->footer(
      "Example:\n  surgegate replay --policy config/examples/replay.yaml \\\n"
      "    --in tests/captures/mixed.pcapng --out out.pcap --verdicts verdicts.jsonl\n\n"
      "Exit status: 0 done, 1 packets were not conserved (a fault of ours),\n"
      "2 bad input, or it could not be done.");
}

void add_run(CLI::App& app, surgegate::RunOptions& options) {
  CLI::App* run = app.add_subcommand("run", "Stand at a live interface (one worker, AF_PACKET)");
  run->add_option("--policy", options.policy_path, "The policy to judge by")->required();
  run->add_option("--interface", options.interface, "The interface to stand at")->required();
  run->add_flag("--json", options.json, "Print the account at the end as JSON");
  run->footer(
      "Needs root (or CAP_NET_RAW and CAP_NET_ADMIN), and a network as docs/live.md\n"
      "describes it. Switch off the peers' offloads on virtual links:\n"
      "  ethtool -K DEVICE tx off tso off gso off gro off\n\n"
      "The policy is read once. SIGTERM, SIGINT and SIGHUP end it, and it prints its\n"
      "account (SIGHUP will mean to read the policy again in a later version).\n\n"
      "Exit status: 0 ended on a signal, 2 could not start, or the interface is gone.");
}

void add_check(CLI::App& app, surgegate::CheckOptions& options) {
  CLI::App* check = app.add_subcommand("check", "Say all that is wrong with a policy");
  check->add_option("policy", options.policy_path, "The policy file")->required();
  check->add_flag("--sizes", options.sizes, "Print what the policy costs in memory");
  check->add_flag("--json", options.json, "Print findings and sizes as JSON");
  check->footer("Exit status: 0 the policy can be used, 2 it has faults.");
}

void add_explain_rules(CLI::App& app, surgegate::ExplainRulesOptions& options) {
  CLI::App* explain = app.add_subcommand("explain-rules", "Print the truth table of all verdicts");
  explain->add_option("reason", options.reasons, "Only these, as verdict lines name them");
  explain->add_flag("--json", options.json, "Print it as JSON");
  explain->add_flag("--markdown", options.markdown, "Print it as docs/verdicts.md has it");
  explain->footer("Exit status: 0 done, 2 a wrong call.");
}

// What is wrong with the command line, in one line. CLI11 would complain about the absence of what
// was misspelt, and lists what it does not know backwards.
std::string explain(const CLI::App& app, const CLI::ParseError& error, int argc, char** argv) {
  auto chosen = app.get_subcommands();
  if (chosen.empty()) {
    std::string names;
    for (const CLI::App* command : app.get_subcommands({})) names += " " + command->get_name();
    std::string what = argc > 1 ? fmt::format("there is no command `{}`", argv[1])
                                : std::string("a command is missing");
    return fmt::format("surgegate: {}; there are:{} (see surgegate --help)", what, names);
  }
  std::string name = "surgegate " + chosen.front()->get_name();
  auto unknown = chosen.front()->remaining();
  if (unknown.empty()) return fmt::format("{0}: {1} (see {0} --help)", name, error.what());
  auto option = std::find_if(unknown.begin(), unknown.end(),
                             [](const std::string& word) { return word.starts_with("-"); });
  return option != unknown.end()
             ? fmt::format("{0}: there is no option `{1}` (see {0} --help)", name, *option)
             : fmt::format("{0}: `{1}` is one word too many (see {0} --help)", name,
                           unknown.front());
}

int dispatch(const CLI::App& app, const Options& options) {
  if (app.got_subcommand("replay")) return surgegate::replay(options.replay);
  if (app.got_subcommand("run")) return surgegate::run(options.run);
  if (app.got_subcommand("check")) return surgegate::check(options.check);
  return surgegate::explain_rules(options.explain_rules);
}

// `help`, `help COMMAND` and `version`, which many programs have, as the options that they are
// here.
std::vector<const char*> words_of(int argc, char** argv) {
  std::vector<const char*> words(argv, argv + argc);
  if (argc < 2) return words;
  const std::string_view first = words[1];
  if (first == "version" && argc == 2) words[1] = "--version";
  if (first != "help") return words;
  words[1] = "--help";
  if (argc > 2) std::swap(words[1], words[2]);
  return words;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Surgegate: a gate for traffic surges"};
  app.name("surgegate");
  app.require_subcommand(1);
  app.set_version_flag("--version", "surgegate " SURGEGATE_VERSION);
  app.footer(
      "Each command has a --help of its own. Begin with:\n"
      "  surgegate check policy.yaml");
  Options options;
  add_replay(app, options.replay);
  add_run(app, options.run);
  add_check(app, options.check);
  add_explain_rules(app, options.explain_rules);
  try {
    app.parse(argc, words_of(argc, argv).data());
  } catch (const CLI::Success& told) {  // --help, --version
    return app.exit(told);
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "{}\n", explain(app, error, argc, argv));
    return 2;
  }
  try {
    int status = dispatch(app, options);
    if (std::fflush(stdout) == 0 && !std::ferror(stdout)) return status;
    fmt::print(stderr, "surgegate: standard output cannot be written: {}\n", std::strerror(errno));
  } catch (const std::exception& error) {  // no memory, or a full disk behind standard output
    fmt::print(stderr, "surgegate: {}\n", error.what());
  }
  return 2;
}
