// From the YAML tree to typed values: one small reader for each kind of value the file has.
//
// A mapping is described by a table of fields, each a key and a function that reads its value into
// a variable. The reader walks the file, not the table, so that mistakes come in the order of the
// file; a value that does not fit is diagnosed with its position and leaves the variable, that is
// the default, as it was.
//
// Threads: one reader belongs to one thread. Requires: variables and tables outlive the call of
// read().
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/daemon_config.hpp"
#include "config/document.hpp"

namespace dbbackup::config {

// `path` is the full name of the key for messages: "control.line_limit".
using ReadValue = std::function<void(const Node& value, const std::string& path)>;

struct Field {
  std::string key;
  ReadValue read;
};

class FieldReader {
 public:
  FieldReader(const std::string& source, std::vector<Diagnostic>& diagnostics)
      : source_(source), diagnostics_(diagnostics) {}

  // Reads the whole file. A null node stands for an empty one.
  void read(const Node& root, const std::vector<Field>& fields);

  // Limits are inclusive.
  ReadValue section(const std::vector<Field>& fields);
  ReadValue integer(unsigned& out, unsigned least, unsigned most);
  ReadValue size(std::uint64_t& out, std::uint64_t least, std::uint64_t most);
  ReadValue duration(util::Milliseconds& out, util::Milliseconds least, util::Milliseconds most);
  ReadValue path(std::filesystem::path& out, std::size_t longest = 4095);
  ReadValue path(std::optional<std::filesystem::path>& out);
  ReadValue log_level(util::Severity& out);
  ReadValue timezone(std::optional<std::string>& out);
  ReadValue access_rules(std::vector<AccessRule>& out);

 private:
  void read_mapping(const Node& node, const std::string& prefix, const std::vector<Field>& fields);
  void unknown_key(const Node& key, const std::string& prefix, const std::vector<Field>& fields);
  // The text of a scalar; diagnoses anything else.
  const std::string* text(const Node& value, const std::string& path, std::string_view wanted);
  void wrong(const Node& value, const std::string& path, std::string_view wanted,
             std::string hint = {});
  void diagnose(const Node& node, std::string message, std::string hint);

  const std::string& source_;
  std::vector<Diagnostic>& diagnostics_;
};

}  // namespace dbbackup::config
