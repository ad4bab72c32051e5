//! Tables for people. They fit the terminal; in a file or a pipe, a row is always one line.

use std::io;

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use rustix::termios::tcgetwinsize;

use crate::cli::terminal::foreign::harmless_line;

/// A table with headings. Each column is as wide as its widest cell; in a terminal that is too narrow, cells are wrapped.
pub(crate) fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let columns = tcgetwinsize(io::stdout()).ok().map(|size| size.ws_col);
    table_within(columns.filter(|columns| *columns > 0), headings, rows)
}

fn table_within<const N: usize>(
    columns: Option<u16>,
    headings: [&str; N],
    rows: &[[String; N]],
) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(headings);
    if let Some(columns) = columns {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(columns);
    }
    for row in rows {
        table.add_row(row.each_ref().map(|cell| harmless_line(cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a".into(), "long cell".into()], ["bbb".into(), String::new()]];
        assert_eq!(table_within(None, ["ID", "TEXT"], &rows), "ID   TEXT\na    long cell\nbbb");
        let rows = [["\u{1b}[2J\n".into(), "movies/日本".into()]];
        let table = table_within(None, ["ID", "TEXT"], &rows);
        assert_eq!(table, "ID              TEXT\n\\u{1b}[2J\\u{a}  movies/日本");
    }

    #[test]
    fn cells_are_wrapped_where_the_terminal_is_too_narrow() {
        let rows = [["word ".repeat(20), "x".repeat(100)], ["a".into(), "b".into()]];
        for columns in [40, 80, 120] {
            let table = table_within(Some(columns), ["ID", "TEXT"], &rows);
            let longest = table.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(longest <= usize::from(columns), "{longest}: {table}");
            assert_eq!(table.matches("word").count(), 20);
            assert_eq!(table.matches('x').count(), 100);
        }
    }
}
