//! Lines of sales in columns: Apache Parquet, packed with zstd, a group of rows at a time.

use super::Sale;
use crate::console::read::LineRow;
use anyhow::Result;
use parquet::basic::{Compression, ZstdLevel};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::io::Write;
use std::sync::Arc;

/// Rows held until they are a group.
const GROUP: usize = 65_536;

/// Amounts are minor units of `currency`.
const SCHEMA: &str = "message sale_line {
    REQUIRED BINARY transaction (STRING);
    REQUIRED BINARY store (STRING);
    REQUIRED BINARY box (STRING);
    OPTIONAL INT64 lane;
    REQUIRED INT64 receipt;
    REQUIRED INT64 time (TIMESTAMP(MILLIS, true));
    REQUIRED BINARY currency (STRING);
    REQUIRED BOOLEAN member;
    REQUIRED INT64 line;
    REQUIRED BINARY item (STRING);
    REQUIRED BINARY name_zh (STRING);
    REQUIRED BINARY name_en (STRING);
    REQUIRED INT64 quantity;
    OPTIONAL INT64 weight_g;
    REQUIRED INT64 unit_price;
    REQUIRED INT64 discount;
    REQUIRED INT64 total;
    REQUIRED BINARY price_book (STRING);
}";

/// One column of the rows held.
enum Column {
    Text(Vec<ByteArray>),
    Numbers(Vec<i64>),
    /// And whether there is one, by row.
    Optional(Vec<i64>, Vec<i16>),
    Flags(Vec<bool>),
}

pub(super) struct Table<W: Write + Send> {
    file: SerializedFileWriter<W>,
    columns: Vec<Column>,
    rows: usize,
}

impl<W: Write + Send> Table<W> {
    pub(super) fn new(to: W) -> Result<Self> {
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
        let file = SerializedFileWriter::new(to, Arc::new(parse_message_type(SCHEMA)?), Arc::new(properties))?;
        Ok(Self { file, columns: Vec::new(), rows: 0 })
    }

    pub(super) fn take(&mut self, sale: &Sale, lines: Vec<LineRow>) -> Result<()> {
        for line in lines {
            let text = |text: &str| Cell::Text(text.into());
            let row = [
                text(&sale.transaction),
                text(&sale.store),
                text(&sale.box_id),
                Cell::Optional(sale.lane),
                Cell::Number(sale.receipt),
                Cell::Number(sale.at),
                text(&sale.currency),
                Cell::Flag(sale.member),
                Cell::Number(line.no),
                text(&line.item),
                text(&line.name_zh),
                text(&line.name_en),
                Cell::Number(line.quantity),
                Cell::Optional(line.weight_g),
                Cell::Number(line.unit_price),
                Cell::Number(line.discount),
                Cell::Number(line.total),
                text(&line.price_book),
            ];
            if self.columns.is_empty() {
                self.columns = row.iter().map(Cell::column).collect();
            }
            for (column, cell) in self.columns.iter_mut().zip(row) {
                column.push(cell);
            }
            self.rows += 1;
            if self.rows >= GROUP {
                self.group()?;
            }
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<()> {
        self.group()?;
        self.file.close()?;
        Ok(())
    }

    fn group(&mut self) -> Result<()> {
        if std::mem::take(&mut self.rows) == 0 {
            return Ok(());
        }
        let mut group = self.file.next_row_group()?;
        for column in self.columns.drain(..) {
            let Some(mut writer) = group.next_column()? else { break };
            match (writer.untyped(), column) {
                (ColumnWriter::ByteArrayColumnWriter(to), Column::Text(values)) => {
                    to.write_batch(&values, None, None)?
                }
                (ColumnWriter::Int64ColumnWriter(to), Column::Numbers(values)) => {
                    to.write_batch(&values, None, None)?
                }
                (ColumnWriter::Int64ColumnWriter(to), Column::Optional(values, there)) => {
                    to.write_batch(&values, Some(&there), None)?
                }
                (ColumnWriter::BoolColumnWriter(to), Column::Flags(values)) => to.write_batch(&values, None, None)?,
                _ => anyhow::bail!("a column is not what the schema says"),
            };
            writer.close()?;
        }
        group.close()?;
        Ok(())
    }
}

enum Cell {
    Text(ByteArray),
    Number(i64),
    Optional(Option<i64>),
    Flag(bool),
}

impl Cell {
    fn column(&self) -> Column {
        match self {
            Self::Text(_) => Column::Text(Vec::new()),
            Self::Number(_) => Column::Numbers(Vec::new()),
            Self::Optional(_) => Column::Optional(Vec::new(), Vec::new()),
            Self::Flag(_) => Column::Flags(Vec::new()),
        }
    }
}

impl Column {
    fn push(&mut self, cell: Cell) {
        match (self, cell) {
            (Self::Text(values), Cell::Text(value)) => values.push(value),
            (Self::Numbers(values), Cell::Number(value)) => values.push(value),
            (Self::Flags(values), Cell::Flag(value)) => values.push(value),
            (Self::Optional(values, there), Cell::Optional(value)) => {
                there.push(i16::from(value.is_some()));
                values.extend(value);
            }
            // Rows are made in one place, all of the same cells.
            (Self::Text(_) | Self::Numbers(_) | Self::Flags(_) | Self::Optional(..), _) => {}
        }
    }
}
