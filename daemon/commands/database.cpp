#include <memory>
#include <mutex>

#include "daemon/commands/commands.hpp"
#include "daemon/render.hpp"
#include "engine/engine.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::daemon {

namespace json = util::json;
using util::cat;

namespace {
constexpr util::Milliseconds kDefaultAllowance = std::chrono::hours(1);

json::Value add(App& app, const json::Object& params) {
  const engine::Address address = engine::parse_url(text(params, "url"));
  catalog::Database database;
  database.name = text(params, "name");
  database.engine = address.engine;
  database.url = address.url;
  database.options = options(params);
  engine::check_options(address.engine, database.options);
  database.created = app.clock().now();
  app.catalog().add_database(database, secret(params, "password"));
  return wrapped("database", to_json(app.catalog().database(database.name)));
}

json::Value update(App& app, const json::Object& params) {
  catalog::Database database = app.catalog().database(text(params, "name"));
  if (const auto url = json::get_string(params, "url")) {
    const engine::Address address = engine::parse_url(*url);
    if (address.engine != database.engine) {
      throw util::Error(util::ErrorCode::refused,
                        cat("database ", database.name, " is a ", database.engine, " database"),
                        "add the other one under a name of its own");
    }
    database.url = address.url;
    // Another place is another database: an allowance that was given for the old one does not go
    // along.
    database.restore_allowed_until.reset();
  }
  database.options = merged(database.options, options(params));
  engine::check_options(database.engine, database.options);
  app.catalog().update_database(database);
  const crypto::Secret password = secret(params, "password");
  if (!password.empty()) app.catalog().set_password(database.name, password);
  return wrapped("database", to_json(app.catalog().database(database.name)));
}

json::Value test(App& app, const json::Object& params, std::stop_token stop) {
  const catalog::Database database = app.catalog().database(text(params, "name"));
  util::Progress progress;
  util::Task task(std::move(stop), progress, {});
  const engine::Probe probe = app.services().engine_for(database)->probe(task);
  json::Array checks;
  for (const engine::Check& check : probe.checks) {
    checks.push_back(json::Object{
        {"name", check.name},
        {"ok", check.ok},
        {"detail", check.detail},
        {"hint", check.hint.empty() ? json::Value(nullptr) : json::Value(check.hint)}});
  }
  return wrapped("test", {{"ok", probe.ok()},
                          {"engine", probe.engine},
                          {"server_version", probe.server_version},
                          {"checks", std::move(checks)}});
}
}  // namespace

void add_database_commands(App& app, control::Handlers& handlers) {
  // update, allow-restore and protect read a row, change it and write it back: one at a time, or
  // the later writer would undo what the earlier one forbade.
  const auto turn = std::make_shared<std::mutex>();
  handlers["database.add"] = [&app](const json::Object& params, control::Session&) {
    return add(app, params);
  };
  handlers["database.update"] = [&app, turn](const json::Object& params, control::Session&) {
    const std::scoped_lock lock(*turn);
    return update(app, params);
  };
  handlers["database.list"] = [&app](const json::Object&, control::Session&) {
    json::Array list;
    for (const auto& database : app.catalog().databases()) list.push_back(to_json(database));
    return listed("databases", std::move(list));
  };
  handlers["database.show"] = [&app](const json::Object& params, control::Session&) {
    return wrapped("database", to_json(app.catalog().database(text(params, "name"))));
  };
  handlers["database.test"] = [&app](const json::Object& params, control::Session& session) {
    return test(app, params, session.gone());
  };
  handlers["database.remove"] = [&app](const json::Object& params, control::Session&) {
    app.catalog().remove_database(text(params, "name"));
    return removed(text(params, "name"));
  };
  handlers["database.set_password"] = [&app](const json::Object& params, control::Session&) {
    const std::string name = text(params, "name");
    app.catalog().set_password(name, secret(params, "password"));
    return wrapped("database", to_json(app.catalog().database(name)));
  };
  handlers["database.allow_restore"] = [&app, turn](const json::Object& params, control::Session&) {
    const std::scoped_lock lock(*turn);
    catalog::Database database = app.catalog().database(text(params, "name"));
    database.is_protected = false;
    database.restore_allowed_until =
        app.clock().now() + duration(params, "for").value_or(kDefaultAllowance);
    app.catalog().update_database(database);
    return wrapped("database", to_json(database));
  };
  handlers["database.protect"] = [&app, turn](const json::Object& params, control::Session&) {
    const std::scoped_lock lock(*turn);
    catalog::Database database = app.catalog().database(text(params, "name"));
    database.is_protected = true;
    database.restore_allowed_until.reset();
    app.catalog().update_database(database);
    return wrapped("database", to_json(database));
  };
}

}  // namespace dbbackup::daemon
