// The backup of one database: which consistency can be had, then all collections through parallel
// readers, then what surrounds them.
//
// Threads: call from one thread; readers inside are joined. Errors: those of Client and of the
// writer.
#pragma once

#include "engine/engine.hpp"
#include "engine/mongodb/client.hpp"
#include "engine/mongodb/collections.hpp"
#include "engine/mongodb/reading.hpp"

namespace dbbackup::engine::mongodb {

struct SourceSettings {
  Endpoint endpoint;
  RangeSettings ranges;
  bool users = true;  // keep users and roles where readable
};

repository::Summary back_up_database(const SourceSettings& source, const Scope& scope,
                                     repository::ArtifactWriter& writer, util::Task& task);

// Row counts and hashes of the live collections; what a restore and a drill compare.
std::vector<repository::TableProof> prove(const Endpoint& endpoint, Client::Purpose purpose,
                                          const std::vector<Collection>& collections,
                                          const Scope& scope, util::Task& task);

// Streams of an artifact.
inline constexpr const char* kSchemaStream = "schema/collections";
inline constexpr const char* kUsersStream = "meta/users";
inline constexpr const char* kRolesStream = "meta/roles";
std::string data_stream(const std::string& collection);

}  // namespace dbbackup::engine::mongodb
