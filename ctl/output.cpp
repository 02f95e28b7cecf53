#include "ctl/output.hpp"

#include <algorithm>

#include "ctl/text_width.hpp"
#include "util/text.hpp"

namespace dbbackup::ctl {

namespace json = util::json;
using util::cat;

namespace {

bool is_content(const json::Object::value_type& member) {
  return member.key() != "schema_version" && !member.value().is_null();
}

// The one list in `object`; null where there is none or several.
const json::Array* only_list(const json::Object& object) {
  const json::Array* list = nullptr;
  for (const auto& member : object) {
    if (!member.value().is_array()) continue;
    if (list != nullptr) return nullptr;
    list = &member.value().get_array();
  }
  return list;
}

// A list about which some plain facts are told beside it: {cron, timezone, fires[]}.
bool is_list(const json::Object& reply) {
  return only_list(reply) != nullptr &&
         std::none_of(reply.begin(), reply.end(),
                      [](const auto& member) { return member.value().is_object(); });
}

using Names = std::vector<std::string>;

// What `value` is called by: artifacts and runs by id, what has a name by that, fire times by their
// time, and what is only a list (a diff) by what is in it.
Names names_of(std::string_view noun, const json::Value& value) {
  if (value.is_string()) return {std::string(value.get_string())};
  const json::Object* object = value.if_object();
  if (object == nullptr) return {json::write(value)};
  const bool by_id = noun.starts_with("artifact") || noun.starts_with("run");
  for (const std::string_view key :
       {by_id ? "id" : "name", "id", "name", "schedule", "slot", "line", "at"}) {
    if (const json::Value* name = json::find(*object, key)) return names_of({}, *name);
  }
  const json::Array* list = only_list(*object);
  if (list == nullptr) {
    throw util::Error(util::ErrorCode::usage, "there are no names in this answer",
                      "use -o json, jsonl or table");
  }
  Names names;
  for (const json::Value& item : *list) {
    for (std::string& name : names_of(noun, item)) names.push_back(std::move(name));
  }
  return names;
}

}  // namespace

void Output::line(std::string_view text) { out_ << safe_text(text) << '\n'; }

void Output::heading(std::string_view text) {
  out_ << styled(safe_text(text), Style::bold, terminal_.colour_output) << '\n';
}

void Output::table(const Table& table) {
  out_ << table.render(terminal_.output ? terminal_.width : 0, terminal_.colour_output);
}

void Output::fields(const std::vector<std::pair<std::string, Cell>>& fields) {
  std::size_t widest = 0;
  const auto shown = [](const Cell& cell) { return !cell.text.empty() && cell.text != "-"; };
  for (const auto& [name, cell] : fields) {
    if (shown(cell)) widest = std::max(widest, name.size());
  }
  for (const auto& [name, cell] : fields) {
    if (!shown(cell)) continue;
    out_ << styled(name + ":", Style::bold, terminal_.colour_output)
         << std::string(widest - name.size() + 2, ' ')
         << styled(safe_text(cell.text), cell.style, terminal_.colour_output) << '\n';
  }
}

void Output::note(std::string_view text) {
  if (!quiet_) err_ << safe_text(text) << '\n';
}

void Output::warning(std::string_view text) {
  if (!quiet_) {
    err_ << styled("warning:", Style::warning, terminal_.colour_error) << ' ' << safe_text(text)
         << '\n';
  }
}

void Output::json(const json::Value& value) {
  out_ << (format_ == Format::jsonl ? json::write(value) : json::write_pretty(value)) << '\n';
  out_.flush();
}

void Output::raw(std::string_view text) { out_ << text; }

void Output::reply(const json::Object& reply) {
  const auto contents = std::count_if(reply.begin(), reply.end(), is_content);
  if (format_ == Format::json || contents == 0 ||
      (format_ == Format::jsonl && contents > 1 && !is_list(reply))) {
    json(reply);
    return;
  }
  // What a reply is about comes first in it, except that a summary (status) is named by its lists.
  auto content = std::find_if(reply.begin(), reply.end(),
                              [](const auto& member) { return member.value().is_array(); });
  if (content == reply.end()) content = std::find_if(reply.begin(), reply.end(), is_content);
  const auto show = [&](const json::Value& value) {
    if (format_ == Format::jsonl) {
      json(value);
    } else {
      for (const std::string& name : names_of(content->key(), value)) line(name);
    }
  };
  if (const json::Array* list = content->value().if_array()) {
    std::for_each(list->begin(), list->end(), show);
  } else {
    show(content->value());
  }
}

void Output::error_lines(const util::Error& error) {
  err_ << styled("dbbackupctl:", Style::bad, terminal_.colour_error) << ' '
       << safe_text(error.message()) << " (" << util::traits(error.code()).name << ")\n";
  if (!error.hint().empty()) err_ << "hint: " << safe_text(error.hint()) << '\n';
}

void Output::error(const util::Error& error) {
  error_lines(error);
  if (format_ != Format::json && format_ != Format::jsonl) return;
  json(json::Object{{"error", json::Object{{"code", util::traits(error.code()).name},
                                           {"message", error.message()},
                                           {"hint", error.hint()}}}});
}

}  // namespace dbbackup::ctl
