// Streams of documents into collections: batches cut by size, inserted by several clients at once.
//
// Batches are unordered, so that a document the server refuses does not keep the others out; each
// refusal is counted, and the first ones are told with the server's words.
//
// Threads: load() from one thread; Upload::insert() from each client's thread.
// Errors: those of Client; conflict when documents were there already, io for other refusals.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <vector>

#include "engine/mongodb/client.hpp"
#include "repository/stream.hpp"
#include "util/task.hpp"

namespace dbbackup::engine::mongodb {

struct Load {
  std::string stream;
  std::string collection;  // as users call it
  std::string storage;     // as documents are inserted
};

// What the server did not take.
class Refusals {
 public:
  void add(const std::string& collection, std::uint64_t sent, util::ByteView reply);
  // Throws if there were any.
  void require_none() const;

 private:
  mutable std::mutex mutex_;
  std::uint64_t documents_ = 0;
  bool duplicates_only_ = true;
  std::vector<std::string> first_;
};

// Inserts whole documents, as they are, also with a Timestamp of zero, which a server otherwise
// replaces. Requires: `documents` fit into one command.
void insert_documents(Client& client, const Load& load,
                      const std::vector<util::ByteView>& documents, Refusals& refusals);

void load_streams(const Endpoint& endpoint, repository::ArtifactReader& reader,
                  const std::vector<Load>& loads, unsigned workers, util::Task& task);

}  // namespace dbbackup::engine::mongodb
