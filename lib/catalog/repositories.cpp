#include "catalog/columns.hpp"
#include "catalog/impl.hpp"
#include "catalog/job_summary.hpp"
#include "catalog/names.hpp"
#include "util/text.hpp"

namespace dbbackup::catalog {

using sqlite::Connection;
using sqlite::Statement;

namespace {
constexpr Table kTable{"repositories", "name,url,options,repository_id,created"};

auto fields(auto& repository) {
  return std::tie(repository.name, repository.url, repository.options, repository.repository_id,
                  repository.created);
}

Repository read_one(const Statement& row) {
  Repository repository;
  read_fields(row, fields(repository));
  return repository;
}

std::optional<Repository> find(Connection& db, const std::string& name) {
  Statement statement = db.prepare(select_sql(kTable) + " WHERE name=?");
  bind_value(statement, 1, name);
  return read_row(statement, read_one);
}

Repository get(Connection& db, const std::string& name) {
  auto found = find(db, name);
  if (!found) throw no_such(db, kRepository, name);
  return *std::move(found);
}

void store_secret_options(Connection& db, const SecretBox& box, const std::string& name,
                          const Options& options) {
  std::string plain = encode_options(options);
  const util::Bytes sealed = box.seal(kTable.name, name, crypto::Secret::from_text(plain));
  crypto::wipe(plain.data(), plain.size());
  Statement statement = db.prepare("UPDATE repositories SET secret_options=?2 WHERE name=?1");
  bind_value(statement, 1, name);
  statement.bind(2, util::ByteView(sealed)).run();
}

std::vector<std::string> jobs_with_artifacts_in(Connection& db, const std::string& repository) {
  Statement statement = db.prepare("SELECT DISTINCT job FROM artifacts WHERE repository=?");
  bind_value(statement, 1, repository);
  return read_rows(statement, [](const Statement& row) { return row.string(0); });
}
}  // namespace

void Catalog::require_new_repository(const std::string& name) {
  impl_->write([&](Connection& db) { require_free_name(db, kRepository, name); });
}

void Catalog::add_repository(const Repository& repository, const Options& secret_options) {
  impl_->write([&](Connection& db) {
    require_free_name(db, kRepository, repository.name);
    Statement statement = db.prepare(insert_sql(kTable));
    bind_fields(statement, fields(repository));
    statement.run();
    if (!secret_options.empty()) {
      store_secret_options(db, impl_->box, repository.name, secret_options);
    }
  });
}

void Catalog::update_repository(const Repository& repository,
                                const std::optional<Options>& secret_options) {
  impl_->write([&](Connection& db) {
    Repository updated = repository;
    updated.created = get(db, repository.name).created;
    Statement statement = db.prepare(update_sql(kTable));
    bind_fields(statement, fields(updated));
    statement.run();
    if (secret_options) store_secret_options(db, impl_->box, repository.name, *secret_options);
  });
}

Options Catalog::secret_options(const std::string& repository) {
  return impl_->read([&](Connection& db) {
    Statement statement = db.prepare("SELECT secret_options FROM repositories WHERE name=?");
    bind_value(statement, 1, repository);
    if (!statement.step()) throw no_such(db, kRepository, repository);
    if (statement.is_null(0)) return Options();
    const auto plain = impl_->box.open(kTable.name, repository, statement.blob(0));
    if (plain) return decode_options(plain->reveal_text());
    throw util::Error(
        util::ErrorCode::verification_failed,
        util::cat("the stored secrets of repository ", repository, " cannot be decrypted"),
        "the control database was changed from outside; remove the repository, add it again and "
        "rescan it");
  });
}

std::optional<Repository> Catalog::find_repository(const std::string& name) {
  return impl_->read([&](Connection& db) { return find(db, name); });
}

Repository Catalog::repository(const std::string& name) {
  return impl_->read([&](Connection& db) { return get(db, name); });
}

std::vector<Repository> Catalog::repositories() {
  return impl_->read([](Connection& db) {
    Statement statement = db.prepare(select_sql(kTable) + " ORDER BY name");
    return read_rows(statement, read_one);
  });
}

void Catalog::remove_repository(const std::string& name) {
  impl_->write([&](Connection& db) {
    require_exists(db, kRepository, name);
    require_no_jobs(db, kRepository, "repository", name);
    const std::vector<std::string> affected = jobs_with_artifacts_in(db, name);
    delete_named(db, kRepository, name);  // its schedules, artifacts and their holds go with it
    for (const std::string& job : affected) refresh_job_summary(db, job);
  });
  ++impl_->schedules_version;
}

}  // namespace dbbackup::catalog
