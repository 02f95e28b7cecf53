#include "storage/xml.hpp"

#include "util/text.hpp"

namespace dbbackup::storage {

namespace {

// Source: XML 1.0 section 4.6. Character references above ASCII are left as they are: keys have
// none.
std::string decoded(std::string_view text) {
  constexpr std::pair<std::string_view, char> kEntities[] = {
      {"&amp;", '&'},   {"&lt;", '<'},  {"&gt;", '>'},   {"&quot;", '"'},
      {"&apos;", '\''}, {"&#34;", '"'}, {"&#39;", '\''}, {"&#x2F;", '/'}};
  std::string result;
  while (!text.empty()) {
    std::size_t used = 1;
    char c = text.front();
    for (const auto& [entity, meaning] : kEntities) {
      if (!text.starts_with(entity)) continue;
      c = meaning;
      used = entity.size();
    }
    result += c;
    text.remove_prefix(used);
  }
  return result;
}

}  // namespace

std::vector<std::string_view> xml_elements(std::string_view document, std::string_view name) {
  const std::string open = util::cat("<", name);
  const std::string close = util::cat("</", name, ">");
  std::vector<std::string_view> found;
  std::size_t at = 0;
  while ((at = document.find(open, at)) != std::string_view::npos) {
    at += open.size();
    if (at >= document.size() ||
        std::string_view(" \t\r\n/>").find(document[at]) == std::string_view::npos) {
      continue;  // another element whose name begins the same
    }
    const std::size_t tag_end = document.find('>', at);
    if (tag_end == std::string_view::npos) return found;
    if (document[tag_end - 1] == '/') {
      found.emplace_back();
      continue;
    }
    const std::size_t end = document.find(close, tag_end);
    if (end == std::string_view::npos) return found;
    found.push_back(document.substr(tag_end + 1, end - tag_end - 1));
    at = end + close.size();
  }
  return found;
}

std::optional<std::string> xml_text(std::string_view document, std::string_view name) {
  const std::vector<std::string_view> elements = xml_elements(document, name);
  if (elements.empty()) return std::nullopt;
  return decoded(elements.front());
}

}  // namespace dbbackup::storage
