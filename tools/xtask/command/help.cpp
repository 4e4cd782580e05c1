#include <CLI/CLI.hpp>

#include <memory>
#include <string>
#include <vector>

#include "tools/xtask/command/commands.hpp"
#include "tools/xtask/core/suggest.hpp"

namespace ax::xtask {
namespace {

const CLI::App& named_command(const CLI::App& parent, const std::string& name) {
  std::vector<std::string> names;
  for (const CLI::App* sub : parent.get_subcommands([](const CLI::App*) { return true; })) {
    if (sub->get_name() == name) {
      return *sub;
    }
    names.push_back(sub->get_name());
  }
  throw Failure(ExitCode::Usage, "unknown command '" + name + "'" + did_you_mean(name, names));
}

}  // namespace

Handler declare_help(CLI::App& app) {
  const auto path = std::make_shared<std::vector<std::string>>();
  app.add_option("COMMAND", *path, "The command, and its subcommand");
  const auto markdown = std::make_shared<bool>(false);
  app.add_flag("--markdown", *markdown, "Every command as one page: docs/xtask.md");
  return [path, markdown, root = app.get_parent()](Context&) {
    if (*markdown) {
      print_out(reference_page(*root));
      return ExitCode::Success;
    }
    const CLI::App* command = root;
    for (const std::string& name : *path) {
      command = &named_command(*command, name);
    }
    print_out(full_help(*command));
    return ExitCode::Success;
  };
}

}  // namespace ax::xtask
