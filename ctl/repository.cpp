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

void show_one(const json::Object& reply, const Context& context) {
  const json::Object& repository = item(reply, "repository");
  context.out.fields({{"Name", text_of(repository, "name")},
                      {"Id", text_of(repository, "id")},
                      {"URL", text_of(repository, "url")},
                      {"State", state_cell(text_of(repository, "state"))},
                      {"Options", pairs_text(repository, "options")},
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

void show_removed(const json::Object& reply, const Context& context) {
  context.out.line(
      cat("repository ", text_of(reply, "removed"), " removed; what is stored in it stays"));
}

void show_prune_report(const json::Object& reply, const Context& context) {
  context.out.line("a prune would do this; nothing was changed:");
  std::vector<std::pair<std::string, Cell>> fields;
  for (const auto& member : item(reply, "report")) {
    const std::string key(member.key());
    fields.emplace_back(key, key.ends_with("_bytes") ? size_of(item(reply, "report"), key)
                                                     : text_of(item(reply, "report"), key));
  }
  context.out.fields(fields);
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
