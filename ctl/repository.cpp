#include "ctl/format.hpp"
#include "ctl/views.hpp"
#include "util/text.hpp"

namespace dbbackup::ctl {

namespace json = util::json;
using util::cat;

namespace {

void show_list(const json::Object& reply, const Context& context) {
  Table table({{"NAME"}, {"STATE"}, {"URL"}, {"CREATED"}});
  for (const json::Object* repository : items(reply, "repositories")) {
    table.add({text_of(*repository, "name"), state_cell(text_of(*repository, "state")),
               text_of(*repository, "url"),
               age_of(*repository, "created_at", context.clock.now())});
  }
  show_table(table, "no repositories; add one: dbbackupctl repository add NAME URL", context);
}

std::string secrets_text(const json::Object& repository) {
  const std::vector<std::string> names = json::get_strings(repository, "secret_options");
  return names.empty() ? "none" : cat(util::join(names, ", "), " (stored, encrypted)");
}

void show_one(const json::Object& reply, const Context& context) {
  const json::Object& repository = item(reply, "repository");
  context.out.fields({{"Name", text_of(repository, "name")},
                      {"Id", text_of(repository, "id")},
                      {"URL", text_of(repository, "url")},
                      {"State", state_cell(text_of(repository, "state"))},
                      {"Options", pairs_text(repository, "options")},
                      {"Secrets", secrets_text(repository)},
                      {"Created", time_of(repository, "created_at", context.clock.now())}});
}

void show_added(const json::Object& reply, const Context& context) {
  const std::string name = text_of(item(reply, "repository"), "name");
  context.out.line(cat("repository ", name, " added"));
  if (const auto key = json::get_string(reply, "recovery_key")) {
    context.out.line(cat("recovery key: ", *key));
    context.out.note(
        "keep the recovery key away from this machine: it opens the repository when the daemon is "
        "lost, and it is not shown again unless asked for (repository key export)");
  }
  context.out.note(cat("next: dbbackupctl job add NAME --database DATABASE --repository ", name));
}

void show_updated(const json::Object& reply, const Context& context) {
  context.out.line(cat("repository ", text_of(item(reply, "repository"), "name"), " updated"));
}

void show_removed(const json::Object& reply, const Context& context) {
  context.out.line(
      cat("repository ", text_of(reply, "removed"), " removed; what is stored in it stays"));
}

void show_retention(const json::Object& report, const Context& context) {
  Table table({{.header = "ARTIFACT", .whole = true}, {"JOB"}, {"CREATED"}, {"ACTION"}, {"WHY"}});
  for (const json::Object* artifact : items(report, "artifacts")) {
    const std::string action = text_of(*artifact, "action");
    table.add({text_of(*artifact, "id"), text_of(*artifact, "job"),
               age_of(*artifact, "created_at", context.clock.now()),
               Cell(action, action == "remove" ? Style::warning : Style::plain),
               util::join(json::get_strings(*artifact, "reasons"), "; ")});
  }
  if (table.empty()) return;
  context.out.table(table);
  context.out.line("");
}

void show_prune_report(const json::Object& reply, const Context& context) {
  const json::Object& report = item(reply, "report");
  context.out.line("a prune would do this; nothing was changed:");
  show_retention(report, context);
  std::size_t removed = 0;
  for (const json::Object* artifact : items(report, "artifacts")) {
    if (text_of(*artifact, "action") == "remove") ++removed;
  }
  const json::Array* packs = json::get_array(report, "condemned_packs");
  context.out.fields(
      {{"Artifacts to remove", cat(removed, " of ", items(report, "artifacts").size())},
       {"Packs to replace", std::to_string(packs == nullptr ? 0 : packs->size())},
       {"Bytes freed", size_of(report, "removable_bytes")},
       {"Bytes kept", size_of(report, "kept_bytes")}});
}

void show_recovery_key(const json::Object& reply, const Context& context) {
  context.out.line(text_of(reply, "recovery_key"));
}

void show_keys(const json::Object& reply, const Context& context) {
  Table table({{"SLOT", Column::Align::right}, {"KIND"}, {"CREATED"}});
  for (const json::Object* key : items(reply, "keys")) {
    table.add({text_of(*key, "slot"), text_of(*key, "kind"),
               age_of(*key, "created_at", context.clock.now())});
  }
  show_table(table, "no key slots", context);
}

void show_key_added(const json::Object& reply, const Context& context) {
  context.out.line(cat("passphrase added in key slot ", text_of(item(reply, "key"), "slot")));
}

void show_key_removed(const json::Object& reply, const Context& context) {
  context.out.line(cat("key slot ", text_of(reply, "removed"), " removed"));
}

constexpr View kViews[] = {
    {"repository.add", show_added},
    {"repository.list", show_list},
    {"repository.show", show_one},
    {"repository.update", show_updated},
    {"repository.prune", show_prune_report},
    {"repository.remove", show_removed},
    {"repository.key_export", show_recovery_key},
    {"repository.key_list", show_keys},
    {"repository.key_add_passphrase", show_key_added},
    {"repository.key_remove", show_key_removed},
};

}  // namespace

std::span<const View> repository_views() { return kViews; }

}  // namespace dbbackup::ctl
