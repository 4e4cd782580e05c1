#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <memory>

#include "tools/xtask/command/commands.hpp"
#include "tools/xtask/core/suggest.hpp"

namespace ax::xtask {
namespace {

/// What a shell needs to know of one command.
struct Words {
  std::vector<const CLI::App*> commands;
  std::vector<std::pair<std::string, const CLI::Option*>> options;
  std::vector<const CLI::Option*> positionals;
};

Words words_of(const CLI::App& app) {
  Words words;
  words.commands = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* level = &app; level != nullptr; level = level->get_parent()) {
    for (const CLI::Option* option : level->get_options()) {
      if (option->get_positional() && level == &app) {
        words.positionals.push_back(option);
      }
      for (const std::string& name : option->get_lnames()) {
        words.options.emplace_back("--" + name, option);
      }
      for (const std::string& name : option->get_snames()) {
        words.options.emplace_back("-" + name, option);
      }
    }
  }
  return words;
}

/// What stands after an option or for a positional: "<file>", "<folder>", "<board>", words to choose from, or nothing known.
std::string values_of(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  const std::string name = option.get_positional() ? option.get_name(true, false) : type;
  const std::map<std::string, std::string> kinds{
      {"FILE", "<file>"}, {"FILES", "<file>"}, {"FOLDER", "<folder>"}, {"DIR", "<folder>"}, {"BOARD", "<board>"}};
  if (const size_t open = type.find('{'); open != std::string::npos) {  // TEXT:{one,other}, of CLI::IsMember
    std::string choices = type.substr(open + 1, type.find('}') - open - 1);
    std::replace(choices.begin(), choices.end(), ',', ' ');
    return choices;
  }
  const auto kind = kinds.find(name);
  return kind == kinds.end() ? "" : kind->second;
}

std::string path_of(const CLI::App& app) {
  std::string path = app.get_name();
  for (const CLI::App* parent = app.get_parent(); parent != nullptr && parent->get_parent() != nullptr;
       parent = parent->get_parent()) {
    path = parent->get_name() + " " + path;
  }
  return app.get_parent() == nullptr ? "" : path;
}

void for_each_app(const CLI::App& app, const std::function<void(const CLI::App&)>& visit) {
  visit(app);
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    for_each_app(*sub, visit);
  }
}

// ---- bash, and zsh through its emulation of bash's completion

constexpr std::string_view kBashFunction = R"bash(
_xtask() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} path="" word kind i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    case " $(_xtask_commands "$path") " in *" $word "*) path="${path:+$path }$word" ;; esac
  done
  kind=$(_xtask_values "$path" "$previous")
  if [ -z "$kind" ] && [ "${current#-}" = "$current" ]; then kind=$(_xtask_values "$path" ""); fi
  case $current in
    -*) kind=$(_xtask_options "$path") ;;
    *) [ -n "$kind" ] || kind=$(_xtask_commands "$path") ;;
  esac
  case $kind in
    "<file>") COMPREPLY=($(compgen -f -- "$current")) ;;
    "<folder>") COMPREPLY=($(compgen -d -- "$current")) ;;
    "<board>") COMPREPLY=($(compgen -W "$("${COMP_WORDS[0]}" config ls --names 2>/dev/null)" -- "$current")) ;;
    *) COMPREPLY=($(compgen -W "$kind" -- "$current")) ;;
  esac
}
complete -o filenames -F _xtask xtask
)bash";

std::string case_lines(const CLI::App& root, const std::function<std::string(const CLI::App&)>& line) {
  std::string text = "  case $1 in\n";
  for_each_app(root, [&](const CLI::App& app) { text += fmt::format("    '{}') {} ;;\n", path_of(app), line(app)); });
  return text + "  esac\n";
}

std::string bash_script(const CLI::App& root) {
  std::string text = "# Completion of ./xtask for bash: source <(./xtask completion bash)\n_xtask_commands() {\n";
  text += case_lines(root, [](const CLI::App& app) {
    std::string names;
    for (const CLI::App* sub : words_of(app).commands) {
      names += (names.empty() ? "" : " ") + sub->get_name();
    }
    return fmt::format("echo '{}'", names);
  });
  text += "}\n_xtask_options() {\n";
  text += case_lines(root, [](const CLI::App& app) {
    std::string names;
    for (const auto& [name, option] : words_of(app).options) {
      names += (names.empty() ? "" : " ") + name;
    }
    return fmt::format("echo '{}'", names);
  });
  text += "}\n_xtask_values() {\n  case \"$1 $2\" in\n";
  for_each_app(root, [&](const CLI::App& app) {
    const Words words = words_of(app);
    for (const auto& [name, option] : words.options) {
      const std::string values = values_of(*option);
      text += values.empty() ? "" : fmt::format("    '{} {}') echo '{}' ;;\n", path_of(app), name, values);
    }
    for (const CLI::Option* option : words.positionals) {
      const std::string values = values_of(*option);
      text += values.empty() ? "" : fmt::format("    '{} ') echo '{}' ;;\n", path_of(app), values);
    }
  });
  return text + "  esac\n}" + std::string(kBashFunction);
}

std::string zsh_script(const CLI::App& root) {
  return "# Completion of ./xtask for zsh: source <(./xtask completion zsh)\nautoload -U +X bashcompinit && bashcompinit\n" +
         bash_script(root);
}

// ---- fish

std::string fish_quote(const std::string& text) {
  std::string out = "'";
  for (const char c : text) {
    out += c == '\'' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  }
  return out + "'";
}

/// True in fish when the words so far are exactly this command and no subcommand of it.
std::string fish_condition(const CLI::App& app) {
  if (app.get_parent() == nullptr) {
    return "__fish_use_subcommand";
  }
  std::string condition = fmt::format("__fish_seen_subcommand_from {}", app.get_name());
  if (app.get_parent()->get_parent() != nullptr) {
    condition = fmt::format("__fish_seen_subcommand_from {}; and {}", app.get_parent()->get_name(), condition);
  }
  return condition;
}

std::string fish_values(const std::string& values) {
  if (values.empty() || values == "<file>") {
    return values.empty() ? "-x" : "-r -F";
  }
  return values == "<folder>"  ? "-x -a '(__fish_complete_directories)'"
         : values == "<board>" ? "-x -a '(./xtask config ls --names)'"
                               : "-x -a " + fish_quote(values);
}

std::string fish_script(const CLI::App& root) {
  std::string text = "# Completion of ./xtask for fish: ./xtask completion fish | source\ncomplete -c xtask -f\n";
  for_each_app(root, [&](const CLI::App& app) {
    const std::string condition = fish_quote(fish_condition(app));
    for (const CLI::App* sub : words_of(app).commands) {
      text +=
          fmt::format("complete -c xtask -n {} -a {} -d {}\n", condition, sub->get_name(), fish_quote(sub->get_description()));
    }
    for (const CLI::Option* option : app.get_options()) {
      std::string names;
      for (const std::string& name : option->get_lnames()) {
        names += " -l " + name;
      }
      for (const std::string& name : option->get_snames()) {
        names += " -s " + name;
      }
      const bool flag = option->get_expected_max() == 0;
      const std::string values = flag ? "" : " " + fish_values(values_of(*option));
      if (!names.empty()) {
        text += fmt::format("complete -c xtask{}{}{} -d {}\n", app.get_parent() == nullptr ? "" : " -n " + condition, names,
                            values, fish_quote(option->get_description()));
      } else if (const std::string kind = values_of(*option); !kind.empty()) {
        text += fmt::format("complete -c xtask -n {} {}\n", condition, fish_values(kind));
      }
    }
  });
  return text;
}

constexpr std::array<std::pair<std::string_view, std::string (*)(const CLI::App&)>, 3> kShells{
    {{"bash", bash_script}, {"zsh", zsh_script}, {"fish", fish_script}}};

}  // namespace

Handler declare_completion(CLI::App& app) {
  const auto shell = std::make_shared<std::string>();
  app.add_option("SHELL", *shell, "bash, zsh or fish")->required()->type_name("");
  return [shell, root = app.get_parent()](Context&) {
    std::vector<std::string> names;
    for (const auto& [name, script] : kShells) {
      if (name == *shell) {
        print_out(script(*root));
        return ExitCode::Success;
      }
      names.emplace_back(name);
    }
    throw Failure(ExitCode::Usage, fmt::format("no completion for '{}'{}", *shell, did_you_mean(*shell, names)),
                  "there is one for bash, zsh and fish");
  };
}

}  // namespace ax::xtask
