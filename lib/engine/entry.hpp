// What an engine's folder tells registry.cpp: its schemes, its options and how to make its objects.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.hpp"

namespace dbbackup::engine {

struct OptionInfo {
  std::string name;
  std::string meaning;
  // Throws util::Error (usage) for a value that cannot be used.
  std::function<void(const std::string& value)> check;
};

struct Entry {
  std::string engine;
  std::vector<std::string> schemes;  // of database URLs
  std::vector<OptionInfo> options;
  // Takes apart what follows "scheme://"; `address` has engine and url set.
  std::function<void(const std::string& rest, Address& address)> parse;
  std::function<std::unique_ptr<Engine>(const Address&, const Settings&)> make;
  bool scratch_needs_server = false;
  std::function<std::unique_ptr<Engine>(const ScratchPlace&, const Settings&)> make_scratch;
  std::function<std::unique_ptr<ArtifactTables>(repository::ArtifactReader&)> open_tables;
  // Both or none: for engines whose tools write one file that can be imported.
  std::function<bool(const std::string& path)> is_dump = {};
  std::function<repository::Summary(const std::string& path, repository::ArtifactWriter&,
                                    util::Task&)>
      import_dump = {};
};

// "%20" and the like as bytes. Errors: usage for a malformed escape or a NUL.
std::string percent_decode(const std::string& text);

}  // namespace dbbackup::engine
