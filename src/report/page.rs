//! What every page is made of: its frame, sections, figures that can be saved, tables. One file, no network, no script; readable
//! on a telephone, in light and dark, and on paper; by keyboard and by screen reader.

use crate::report::figure::{Figure, Glyph, key_glyph};
use crate::report::format::escape;

const STYLE: &str = include_str!("style.css");

/// What every page begins with.
pub const PAGE_BEGINS: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta name=\"generator\" content=\"nicho\"/>\n";

/// What a page may load: nothing. Its style stands in it, and links to save a figure carry what they save.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// A part of a page under a heading of its own.
pub(super) struct Section {
    /// Where links lead.
    pub id: String,
    /// What the contents call it.
    pub link: String,
    /// Its heading.
    pub title: String,
    /// Markup below the heading.
    pub body: String,
}

/// A section; link and title are plain text, the body is markup.
pub(super) fn section(id: &str, link: &str, title: &str, body: String) -> Section {
    Section { id: id.into(), link: link.into(), title: title.into(), body }
}

/// A whole page: its name and what it shows, both plain text; markup below them; sections with contents that lead to each.
pub(super) fn document(name: &str, about: &str, head: &str, sections: &[Section]) -> String {
    let link = |s: &Section| format!("<a href=\"#{}\">{}</a>", s.id, escape(&s.link));
    let links: Vec<String> = sections.iter().map(link).collect();
    let part = |s: &Section| {
        format!(
            "<section id=\"{0}\" aria-labelledby=\"{0}-title\">\n<h2 id=\"{0}-title\">{1}</h2>\n{2}</section>\n",
            s.id,
            escape(&s.title),
            s.body
        )
    };
    let parts: String = sections.iter().map(part).collect();
    let name = escape(name);
    format!(
        "{PAGE_BEGINS}<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\"/>\n<link rel=\"icon\" href=\"data:,\"/>\n\
         <title>{name}: {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#main\">Skip to the content</a>\n\
         <header>\n<h1>{name}</h1>\n{head}<nav aria-label=\"Contents\">{}</nav>\n</header>\n\
         <main id=\"main\" tabindex=\"-1\">\n{parts}</main>\n</body>\n</html>\n",
        escape(about),
        links.join(" "),
    )
}

/// Figures side by side, as many as the width allows.
pub(super) fn grid(class: &str, figures: &[Figure]) -> String {
    let items: String = figures.iter().map(figure).collect();
    format!("<div class=\"{class}\">\n{items}</div>\n")
}

/// A figure with its title, what to see in it, and links that save it.
pub(super) fn figure(f: &Figure) -> String {
    framed(f, &f.svg)
}

/// A figure that needs the width of the page, with its key; on a narrow screen it scrolls by itself.
pub(super) fn wide(f: &Figure) -> String {
    let title = escape(&f.title);
    let scroller = format!(
        "<div class=\"wide\" role=\"region\" aria-label=\"{title}\" tabindex=\"0\" style=\"--natural:{:.0}px\">{}</div>",
        f.size.0, f.svg
    );
    framed(f, &(key(&f.key) + &scroller))
}

fn framed(f: &Figure, drawing: &str) -> String {
    let (id, title) = (&f.id, escape(&f.title));
    let save = |kind: &str, mime: &str, text: &str| {
        format!(
            "<a download=\"{id}.{}\" href=\"data:{mime};charset=utf-8,{}\" aria-label=\"{kind} of {title}\">{kind}</a>",
            kind.to_lowercase(),
            encoded(text)
        )
    };
    format!(
        "<figure id=\"{id}\" aria-labelledby=\"{id}-title\">\n<p class=\"title\" id=\"{id}-title\">{title}</p>\n{drawing}\n\
         <figcaption>{} <span class=\"save\">{} {}</span></figcaption></figure>\n",
        escape(&f.caption),
        save("SVG", "image/svg+xml", &f.standalone()),
        save("CSV", "text/csv", &f.data)
    )
}

/// A text as part of a `data:` address: what is no plain character of one is written as %XX.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 4);
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => out.push(byte.into()),
            b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'(' | b')' | b',' | b';' | b'/' | b'=' | b'+' | b' ' => {
                out.push(byte.into());
            }
            _ => out += &format!("%{byte:02X}"),
        }
    }
    out
}

/// What the signs of figures mean.
pub(super) fn key<S: AsRef<str>>(items: &[(Glyph, S)]) -> String {
    let items: Vec<String> =
        items.iter().map(|(glyph, text)| format!("<li>{}{}</li>", key_glyph(*glyph), escape(text.as_ref()))).collect();
    if items.is_empty() { String::new() } else { format!("<ul class=\"key\">{}</ul>\n", items.join("")) }
}

/// A table under its name, which is plain text; the first `left` columns are flush left. A head is a word and a smaller one below.
pub(super) fn table(caption: &str, head: &[(&str, &str)], left: usize, body: &str) -> String {
    let cells: Vec<String> = head
        .iter()
        .enumerate()
        .map(|(k, (text, small))| {
            let class = if k < left { " class=\"l\"" } else { "" };
            let small = if small.is_empty() { String::new() } else { format!("<small>{}</small>", escape(small)) };
            format!("<th scope=\"col\"{class}>{}{small}</th>", escape(text))
        })
        .collect();
    let caption = escape(caption);
    format!(
        "<div class=\"scroll\" role=\"region\" aria-label=\"{caption}\" tabindex=\"0\"><table><caption>{caption}</caption>\
         <thead><tr>{}</tr></thead><tbody>\n{body}</tbody></table></div>\n",
        cells.join("")
    )
}

/// A line of a table, whose cells are markup; the first is its heading.
pub(super) fn line(class: &str, cells: &[String], left: usize) -> String {
    let cells: Vec<String> = cells
        .iter()
        .enumerate()
        .map(|(k, cell)| match k {
            0 => format!("<th scope=\"row\" class=\"{}\">{cell}</th>", if left > 0 { "l name" } else { "" }),
            k if k < left => format!("<td class=\"l\">{cell}</td>"),
            _ => format!("<td>{cell}</td>"),
        })
        .collect();
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    format!("<tr{class}>{}</tr>\n", cells.join(""))
}

/// Terms and what is said of each, in markup.
pub(super) fn facts(facts: &[(String, String)]) -> String {
    let items: Vec<String> = facts.iter().map(|(term, text)| format!("<dt>{}</dt><dd>{text}</dd>", escape(term))).collect();
    format!("<dl class=\"facts\">{}</dl>\n", items.join("\n"))
}

/// What is shown only to those who open it; both are markup.
pub(super) fn folded(summary: &str, body: &str) -> String {
    format!("<details><summary>{summary}</summary>{body}</details>\n")
}

/// A text in its own lines.
pub(super) fn verbatim(name: &str, text: &str) -> String {
    format!("<pre role=\"region\" aria-label=\"{}\" tabindex=\"0\">{}</pre>\n", escape(name), escape(text))
}
