#include "ctl/views.hpp"

#include "util/text.hpp"

namespace dbbackup::ctl {

namespace json = util::json;

const View* find_view(std::string_view method) {
  for (const auto views :
       {database_views, repository_views, job_views, schedule_views, run_views, artifact_views,
        restore_views, status_views, events_views, daemon_views}) {
    for (const View& view : views()) {
      if (view.method == method) return &view;
    }
  }
  return nullptr;
}

std::vector<const json::Object*> items(const json::Object& reply, std::string_view key) {
  std::vector<const json::Object*> objects;
  if (const json::Array* list = json::get_array(reply, key)) {
    for (const json::Value& value : *list) {
      if (value.is_object()) objects.push_back(&value.get_object());
    }
  }
  return objects;
}

const json::Object& item(const json::Object& reply, std::string_view key) {
  static const json::Object nothing;
  const json::Object* object = json::get_object(reply, key);
  return object != nullptr ? *object : nothing;
}

std::string pairs_text(const json::Object& object, std::string_view key) {
  std::vector<std::string> pairs;
  for (const auto& member : item(object, key)) {
    if (member.value().is_null()) continue;
    const std::string value = member.value().is_string() ? std::string(member.value().get_string())
                                                         : json::write(member.value());
    pairs.push_back(util::cat(std::string_view(member.key()), "=", value));
  }
  return pairs.empty() ? "-" : util::join(pairs, ", ");
}

std::string list_text(const json::Object& object, std::string_view key) {
  const std::vector<std::string> texts = json::get_strings(object, key);
  return texts.empty() ? "-" : util::join(texts, ", ");
}

void note_warnings(const json::Object& object, const Context& context) {
  for (const std::string& warning : json::get_strings(object, "warnings")) {
    context.out.note(util::cat("warning: ", warning));
  }
}

void show_table(const Table& table, std::string_view nothing, const Context& context) {
  if (table.empty())
    context.out.note(nothing);
  else
    context.out.table(table);
}

}  // namespace dbbackup::ctl
