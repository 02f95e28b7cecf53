#include "control/command.hpp"
#include "crypto/cipher.hpp"
#include "daemon/commands/commands.hpp"
#include "daemon/render.hpp"
#include "job/maintain.hpp"
#include "storage/object_store.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::daemon {

namespace json = util::json;
using util::cat;

namespace {
json::Object with_state(App& app, const catalog::Repository& record) {
  json::Object object = to_json(record);
  json::Array secrets;
  for (const auto& option : app.catalog().secret_options(record.name)) {
    secrets.emplace_back(option.first);
  }
  object["secret_options"] = std::move(secrets);
  try {
    app.repositories().get(record.name);
    object["state"] = "ready";
    object["problem"] = nullptr;
  } catch (const util::Error& error) {
    object["state"] = "unreachable";
    object["problem"] = error.message();
  }
  return object;
}

// As it was printed, to the key it stands for; empty when none was given.
crypto::Secret recovery_key_given(const json::Object& params) {
  const crypto::Secret printed = secret(params, "recovery_key");
  if (printed.empty()) return {};
  auto key = crypto::parse_printable_key(util::trim(printed.reveal_text()));
  if (key) return *std::move(key);
  throw util::Error(util::ErrorCode::usage, "that is no recovery key",
                    "it begins with dbk1- and is checked against typing errors; compare it");
}

// Runs hold on to an open repository: what they write must not be orphaned.
void require_unused(App& app, const std::string& repository) {
  for (const catalog::Run& run : app.catalog().runs({.unfinished = true})) {
    if (run.repository != repository) continue;
    throw util::Error(util::ErrorCode::conflict,
                      cat("run ", run.id, " is using repository ", repository),
                      cat("wait for it (dbbackupctl run wait ", run.id, ") or cancel it"));
  }
}

// The secret ones are stored apart from the others, encrypted.
struct StoreOptions {
  catalog::Options plain;
  catalog::Options secret;
};
StoreOptions split(const catalog::Options& all) {
  StoreOptions split;
  for (const auto& option : all) {
    (control::is_secret_option(option.first) ? split.secret : split.plain).push_back(option);
  }
  return split;
}

void check_url(const std::string& url, const StoreOptions& options) {
  storage::StoreOptions all(options.plain.begin(), options.plain.end());
  all.insert(all.end(), options.secret.begin(), options.secret.end());
  storage::check_store_url(url, all);
}

json::Value update(App& app, const json::Object& params) {
  catalog::Repository record = app.catalog().repository(text(params, "name"));
  require_unused(app, record.name);
  if (const auto url = json::get_string(params, "url")) record.url = *url;
  const StoreOptions given = split(options(params));
  const StoreOptions now{merged(record.options, given.plain),
                         merged(app.catalog().secret_options(record.name), given.secret)};
  check_url(record.url, now);
  record.options = now.plain;
  app.repositories().update(record, now.secret);
  return wrapped("repository", with_state(app, app.catalog().repository(record.name)));
}

json::Value add(App& app, const json::Object& params) {
  catalog::Repository record;
  record.name = text(params, "name");
  record.url = text(params, "url");
  const StoreOptions given = split(options(params));
  record.options = given.plain;
  record.created = app.clock().now();
  check_url(record.url, given);
  const auto recovery_key =
      app.repositories().add(record, given.secret, secret(params, "passphrase"),
                             flag(params, "take_over"), recovery_key_given(params));
  const catalog::Repository added = app.catalog().repository(record.name);
  json::Object reply{{"schema_version", 1}, {"repository", with_state(app, added)}};
  reply["recovery_key"] = json::from_optional(recovery_key);
  return reply;
}

json::Object to_json(const repository::KeySlot& slot) {
  return {{"slot", slot.id},
          {"kind", repository::slot_kind_name(slot.kind)},
          {"created_at", daemon::to_json(slot.created)}};
}

catalog::Run maintenance_run(catalog::RunKind kind, const std::string& repository) {
  catalog::Run run;
  run.kind = kind;
  run.repository = repository;
  return run;
}

json::Value prune(App& app, const json::Object& params, std::stop_token stop) {
  const catalog::Repository record = app.catalog().repository(text(params, "name"));
  if (!flag(params, "dry_run")) {
    return started(app, maintenance_run(catalog::RunKind::prune, record.name), {});
  }
  util::Progress progress;
  util::Task task(std::move(stop), progress, {});
  return json::Object{{"schema_version", 1},
                      {"report", job::plan_prune(app.services(), record.name, task)}};
}

void add_key_commands(App& app, control::Handlers& handlers) {
  handlers["repository.key_export"] = [&app](const json::Object& params, control::Session&) {
    const auto repository = app.repositories().get(text(params, "name"));
    return json::Value(
        json::Object{{"schema_version", 1}, {"recovery_key", repository->new_recovery_key()}});
  };
  handlers["repository.key_list"] = [&app](const json::Object& params, control::Session&) {
    json::Array keys;
    for (const auto& slot : app.repositories().get(text(params, "name"))->key_slots()) {
      keys.push_back(to_json(slot));
    }
    return listed("keys", std::move(keys));
  };
  handlers["repository.key_add_passphrase"] = [&app](const json::Object& params,
                                                     control::Session&) {
    const auto repository = app.repositories().get(text(params, "name"));
    return wrapped("key", to_json(repository->add_passphrase(secret(params, "passphrase"))));
  };
  handlers["repository.key_remove"] = [&app](const json::Object& params, control::Session&) {
    const std::string id = text(params, "slot");
    const auto repository = app.repositories().get(text(params, "name"));
    for (const repository::KeySlot& slot : repository->key_slots()) {
      if (slot.id == id && slot.kind == repository::SlotKind::daemon) {
        throw util::Error(util::ErrorCode::refused,
                          cat("key slot ", id, " is what a daemon opens this repository with"),
                          "remove passphrase and recovery slots; a daemon's slot stays");
      }
    }
    repository->remove_key_slot(id);
    return removed(id);
  };
}
}  // namespace

void add_repository_commands(App& app, control::Handlers& handlers) {
  add_key_commands(app, handlers);
  handlers["repository.add"] = [&app](const json::Object& params, control::Session&) {
    return add(app, params);
  };
  handlers["repository.update"] = [&app](const json::Object& params, control::Session&) {
    return update(app, params);
  };
  handlers["repository.list"] = [&app](const json::Object&, control::Session&) {
    json::Array list;
    for (const auto& record : app.catalog().repositories()) list.push_back(with_state(app, record));
    return listed("repositories", std::move(list));
  };
  handlers["repository.show"] = [&app](const json::Object& params, control::Session&) {
    return wrapped("repository", with_state(app, app.catalog().repository(text(params, "name"))));
  };
  handlers["repository.check"] = [&app](const json::Object& params, control::Session&) {
    const catalog::Repository record = app.catalog().repository(text(params, "name"));
    job::Request request;
    request.read_percent = json::get_int(params, "read_data").value_or(0);
    if (request.read_percent < 0 || request.read_percent > 100) {
      throw util::Error(util::ErrorCode::usage, "--read-data takes a percentage from 0 to 100");
    }
    return started(app, maintenance_run(catalog::RunKind::check, record.name), request);
  };
  handlers["repository.prune"] = [&app](const json::Object& params, control::Session& session) {
    return prune(app, params, session.gone());
  };
  handlers["repository.rescan"] = [&app](const json::Object& params, control::Session&) {
    const catalog::Repository record = app.catalog().repository(text(params, "name"));
    if (flag(params, "take_over")) {
      require_unused(app, record.name);
      app.repositories().take_over(record.name);
    }
    return started(app, maintenance_run(catalog::RunKind::rescan, record.name), {});
  };
  handlers["repository.remove"] = [&app](const json::Object& params, control::Session&) {
    const std::string name = text(params, "name");
    require_unscheduled(app, "repository",
                        {catalog::ScheduleKind::check, catalog::ScheduleKind::prune}, name);
    require_unused(app, name);
    app.catalog().remove_repository(name);
    app.repositories().forget(name);
    return removed(name);
  };
}

}  // namespace dbbackup::daemon
