// A temporary folder of SQLite files with engines over them, for tests of the SQLite engine.
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine/engine.hpp"
#include "sqlite/sqlite.hpp"
#include "support/memory_artifact.hpp"
#include "util/error.hpp"
#include "util/file.hpp"

namespace dbbackup::test {

struct SqliteFolder {
  util::TemporaryFolder folder{std::filesystem::temp_directory_path(), "engine"};

  std::string file(const std::string& name) const { return (folder.path() / name).string(); }
  sqlite::Connection create(const std::string& name) const {
    return {file(name), sqlite::OpenMode::create};
  }
  std::unique_ptr<engine::Engine> engine(const std::string& name,
                                         const engine::Settings& settings = {}) const {
    return engine::make_engine(engine::parse_url("sqlite://" + file(name)), settings);
  }
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
      found.push_back(entry.path().filename().string());
    }
    std::sort(found.begin(), found.end());
    return found;
  }
};

inline MemoryArtifact back_up(engine::Engine& engine, const engine::Scope& scope = {}) {
  util::QuietTask quiet;
  MemoryArtifact artifact;
  MemoryArtifactWriter writer(artifact);
  artifact.summary = engine.back_up(scope, writer, quiet.task());
  return artifact;
}

inline engine::RestoreResult restore(engine::Engine& engine, const MemoryArtifact& artifact,
                                     const engine::RestoreRequest& request = {}) {
  util::QuietTask quiet;
  MemoryArtifactReader reader(artifact);
  return engine.restore(reader, request, quiet.task());
}

inline engine::RestoreRequest in_mode(engine::RestoreMode mode) {
  engine::RestoreRequest request;
  request.mode = mode;
  return request;
}

inline std::vector<repository::TableProof> sorted(std::vector<repository::TableProof> proofs) {
  std::sort(proofs.begin(), proofs.end(),
            [](const auto& left, const auto& right) { return left.name < right.name; });
  return proofs;
}

inline std::string one(sqlite::Connection& connection, const std::string& sql) {
  auto statement = connection.prepare(sql);
  return statement.step() ? statement.string(0) : std::string();
}

template <typename Work>
util::Error error_of(Work&& work) {
  try {
    work();
  } catch (const util::Error& error) {
    return error;
  }
  throw std::logic_error("expected an error, got none");
}

}  // namespace dbbackup::test
