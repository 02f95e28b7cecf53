// The open repositories of this daemon, by catalog name: opened at first use with the daemon's key,
// kept open, shared by runs.
//
// Threads: safe from any thread. Owns: the repositories and with them their leases and local
// indexes.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "catalog/catalog.hpp"
#include "crypto/secret.hpp"
#include "repository/repository.hpp"

namespace dbbackup::job {

class Repositories {
 public:
  struct Options {
    std::filesystem::path index_folder;  // one chunk index per repository id
    std::string daemon_id;
    std::string session = {};  // of this process; empty: each opening has its own
    unsigned seal_workers = 2;
    std::uint64_t memory_bytes = 128ULL << 20U;
    std::uint64_t maintenance_rate = 0;  // bytes per second; 0: no limit
  };

  Repositories(catalog::Catalog& catalog, crypto::Secret daemon_key, Options options,
               const util::Clock& clock);

  // Errors: not_found; conflict when another daemon owns it; not_authorised when this daemon's key
  // opens none of its slots.
  std::shared_ptr<repository::Repository> get(const std::string& name);

  // Adds `record` to the catalog. An empty store becomes a new repository, whose recovery key is
  // returned for the one time it can be shown; a store that holds one is opened with the daemon's
  // key, `passphrase` or `recovery` key (then this daemon's key gets a slot of its own) and returns
  // nothing; `repository rescan` then makes again what this daemon does not know of it.
  std::optional<std::string> add(catalog::Repository record, const catalog::Options& secret_options,
                                 const crypto::Secret& passphrase, bool take_over = false,
                                 const crypto::Secret& recovery = {});
  // Gives a repository another address or other options, after proving that it is the same one
  // there. Requires: no run holds it open.
  // Errors: verification_failed for another repository; those of opening.
  void update(const catalog::Repository& record, const catalog::Options& secret_options);
  // Makes this daemon the owner of a repository whose former owner is gone for good.
  void take_over(const std::string& name);
  // Closes it when it is open; runs that still hold it go on.
  void forget(const std::string& name);

  // The key that opens archives which repositories of this daemon exported.
  const crypto::Secret& daemon_key() const { return daemon_key_; }

 private:
  repository::Settings settings(const std::string& index_name) const;
  std::shared_ptr<repository::Repository> open(const std::string& name) const;

  catalog::Catalog& catalog_;
  crypto::Secret daemon_key_;
  Options options_;
  const util::Clock& clock_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<repository::Repository>> open_;
  std::map<std::string, std::shared_ptr<std::mutex>> gates_;  // held while one is being opened
  std::uint64_t forgotten_ = 0;                               // calls of forget()
};

}  // namespace dbbackup::job
