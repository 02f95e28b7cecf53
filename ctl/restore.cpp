#include "ctl/format.hpp"
#include "ctl/views.hpp"
#include "util/text.hpp"

namespace dbbackup::ctl {

namespace json = util::json;
using util::cat;

namespace {

// A table is named by text, or by an object with its counts.
std::string table_text(const json::Value& table) {
  if (table.is_string()) return std::string(table.get_string());
  const json::Object* object = table.if_object();
  return object != nullptr ? text_of(*object, "name") : json::write(table);
}

void show_plan(const json::Object& reply, const Context& context) {
  const json::Object& plan = item(reply, "plan");
  std::vector<std::string> tables;
  if (const json::Array* list = json::get_array(plan, "tables")) {
    for (const json::Value& table : *list) tables.push_back(table_text(table));
  }
  context.out.fields({{"Artifact", text_of(plan, "artifact")},
                      {"Target", text_of(plan, "target")},
                      {"Mode", text_of(plan, "mode")},
                      {"Tables", tables.empty() ? "-" : util::join(tables, ", ")}});
  std::size_t number = 0;
  for (const std::string& step : json::get_strings(plan, "steps")) {
    context.out.line(cat(++number, ". ", step));
  }
  if (const json::Array* refusals = json::get_array(plan, "refusals")) {
    for (const json::Value& entry : *refusals) {
      const json::Object* refusal = entry.if_object();
      if (refusal == nullptr) continue;
      context.out.note(cat("it would be refused now: ", text_of(*refusal, "message")));
      context.out.note(cat("hint: ", text_of(*refusal, "hint")));
    }
  }
  context.out.note("this is a plan; nothing was changed");
}

constexpr View kViews[] = {{"restore.plan", show_plan}};

}  // namespace

std::span<const View> restore_views() { return kViews; }

}  // namespace dbbackup::ctl
