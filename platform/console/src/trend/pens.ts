/** What tells the lines of a trend apart: a letter first, then a colour that alarms nobody, then dashes. */
export const MOST_LINES = 10;

export interface Pen {
  letter: string;
  colour: string;
  isDashed: boolean;
}

const COLOURS = ["#1f4e8c", "#1d7068", "#7a5a26", "#4b5560", "#5f7a1f"];

export function penOf(index: number): Pen {
  return {
    letter: String.fromCharCode(65 + index),
    colour: COLOURS[index % COLOURS.length] ?? "#20262c",
    isDashed: index >= COLOURS.length,
  };
}
