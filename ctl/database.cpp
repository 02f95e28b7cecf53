#include "ctl/format.hpp"
#include "ctl/views.hpp"
#include "util/text.hpp"

namespace dbbackup::ctl {

namespace json = util::json;
using util::cat;

namespace {

std::string restore_text(const json::Object& database, util::TimePoint now) {
  const auto until = json::get_string(database, "restore_allowed_until");
  const auto time = until ? util::parse_time(*until) : std::nullopt;
  if (!time || *time <= now) return "protected";
  return cat("allowed, ends ", format_age(*time, now));
}

void show_list(const json::Object& reply, const Context& context) {
  Table table({{"NAME"}, {"ENGINE"}, {"URL"}, {"RESTORE"}});
  for (const json::Object* database : items(reply, "databases")) {
    table.add({text_of(*database, "name"), text_of(*database, "engine"), text_of(*database, "url"),
               restore_text(*database, context.clock.now())});
  }
  show_table(table, "no databases; add one: dbbackupctl database add NAME URL", context);
}

void show_one(const json::Object& reply, const Context& context) {
  const json::Object& database = item(reply, "database");
  context.out.fields(
      {{"Name", text_of(database, "name")},
       {"Engine", text_of(database, "engine")},
       {"URL", text_of(database, "url")},
       {"Password",
        json::get_bool(database, "has_password").value_or(false) ? "stored, encrypted" : "none"},
       {"Options", pairs_text(database, "options")},
       {"Restore", restore_text(database, context.clock.now())},
       {"Created", time_of(database, "created_at", context.clock.now())}});
}

void show_added(const json::Object& reply, const Context& context) {
  const std::string name = text_of(item(reply, "database"), "name");
  context.out.line(cat("database ", name, " added"));
  context.out.note(
      cat("next: dbbackupctl database test ", name, "; then dbbackupctl backup ", name, " --wait"));
}

void show_updated(const json::Object& reply, const Context& context) {
  context.out.line(cat("database ", text_of(item(reply, "database"), "name"), " updated"));
}

void show_password_set(const json::Object& reply, const Context& context) {
  context.out.line(
      cat("password of database ", text_of(item(reply, "database"), "name"), " stored"));
}

void show_restore_allowed(const json::Object& reply, const Context& context) {
  const json::Object& database = item(reply, "database");
  const std::string name = text_of(database, "name");
  context.out.line(
      cat("database ", name, ": restore ", restore_text(database, context.clock.now())));
  context.out.note(cat("next: dbbackupctl restore latest --to ", name, " --plan"));
}

void show_protected(const json::Object& reply, const Context& context) {
  context.out.line(
      cat("database ", text_of(item(reply, "database"), "name"), ": restore protected"));
}

void show_removed(const json::Object& reply, const Context& context) {
  context.out.line(cat("database ", text_of(reply, "removed"), " removed; its artifacts stay"));
}

void show_test(const json::Object& reply, const Context& context) {
  const json::Object& test = item(reply, "test");
  Table table({{"CHECK"}, {"RESULT"}, {"DETAIL"}});
  for (const json::Object* check : items(test, "checks")) {
    const bool ok = json::get_bool(*check, "ok").value_or(false);
    table.add({text_of(*check, "name"), ok ? Cell("ok", Style::good) : Cell("failed", Style::bad),
               text_of(*check, "detail")});
  }
  context.out.fields(
      {{"Engine", text_of(test, "engine")}, {"Server", text_of(test, "server_version")}});
  show_table(table, "no checks were made", context);
  for (const json::Object* check : items(test, "checks")) {
    if (const auto hint = json::get_string(*check, "hint"); hint && !hint->empty()) {
      context.out.note(cat("hint: ", text_of(*check, "name"), ": ", *hint));
    }
  }
}

constexpr View kViews[] = {
    {"database.add", show_added},
    {"database.list", show_list},
    {"database.show", show_one},
    {"database.test", show_test},
    {"database.update", show_updated},
    {"database.remove", show_removed},
    {"database.set_password", show_password_set},
    {"database.allow_restore", show_restore_allowed},
    {"database.protect", show_protected},
};

}  // namespace

std::span<const View> database_views() { return kViews; }

}  // namespace dbbackup::ctl
