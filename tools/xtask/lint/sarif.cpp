#include <fmt/format.h>

#include <cctype>
#include <nlohmann/json.hpp>
#include <set>

#include "tools/xtask/lint/finding.hpp"

namespace ax::xtask {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kSchema = "https://json.schemastore.org/sarif-2.1.0.json";
constexpr const char* kRoot = "SRCROOT";

const char* level_of(Severity severity) {
  switch (severity) {
    case Severity::Note: return "note";
    case Severity::Warning: return "warning";
    case Severity::Error: return "error";
  }
  return "none";
}

/// A path as a URI reference: what is not plain is escaped.
std::string uri_of(const std::string& path) {
  constexpr std::string_view kPlain = "/-._~+";
  std::string uri;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (byte < 0x80 && std::isalnum(byte) != 0) || kPlain.find(c) != std::string_view::npos;
    uri += plain ? std::string(1, c) : fmt::format("%{:02X}", byte);
  }
  return uri;
}

Json location_of(const Finding& finding) {
  Json artifact{{"uri", uri_of(finding.file)}};
  if (!finding.file.starts_with('/')) {
    artifact["uriBaseId"] = kRoot;
  }
  Json place{{"artifactLocation", artifact}};
  if (finding.line != 0) {
    place["region"]["startLine"] = finding.line;
    if (finding.column != 0) {
      place["region"]["startColumn"] = finding.column;
    }
  }
  return {{"physicalLocation", place}};
}

Json result_of(const Finding& finding) {
  Json result;
  if (!finding.rule.empty()) {
    result["ruleId"] = finding.rule;
  }
  result["level"] = level_of(finding.severity);
  result["message"]["text"] = finding.message;
  result["locations"] = Json::array({location_of(finding)});
  return result;
}

Json run_of(const std::vector<Finding>& findings, const std::string& tool, const std::string& root) {
  std::set<std::string> rules;
  Json results = Json::array();
  for (const Finding& finding : findings) {
    if (finding.tool == tool) {
      results.push_back(result_of(finding));
      rules.insert(finding.rule);
    }
  }
  rules.erase("");
  Json driver{{"name", tool}, {"rules", Json::array()}};
  for (const std::string& rule : rules) {
    driver["rules"].push_back({{"id", rule}});
  }
  return {{"tool", {{"driver", driver}}},
          {"originalUriBaseIds", {{kRoot, {{"uri", "file://" + uri_of(root) + "/"}}}}},
          {"results", results}};
}

}  // namespace

std::string to_sarif(const std::vector<Finding>& findings, const std::vector<std::string>& tools, const std::filesystem::path& root) {
  Json document{{"$schema", kSchema}, {"version", "2.1.0"}, {"runs", Json::array()}};
  for (const std::string& tool : tools) {
    document["runs"].push_back(run_of(findings, tool, root.string()));
  }
  // Messages quote sources, which may hold any bytes.
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace ax::xtask
