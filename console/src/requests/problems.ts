import { ApiError } from "../api/client";
import type { FieldProblem } from "../api/types";

/** The parts of a JSON pointer such as "#/content/steps". */
export function partsOf(pointer: string): string[] {
  return pointer
    .replace(/^#?\/?/, "")
    .split("/")
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** Problems of fields of a form by the field's name, and those that have no field in it. */
export interface Sorted {
  fields: Record<string, FieldProblem>;
  others: FieldProblem[];
}

/** Give each problem that the API names to its field; `fieldAt` finds the name of a field by the parts of a pointer. */
export function sorted(problems: FieldProblem[], fieldAt: (parts: string[]) => string | undefined): Sorted {
  const result: Sorted = { fields: {}, others: [] };
  for (const problem of problems) {
    const name = fieldAt(partsOf(problem.pointer));
    if (name === undefined || result.fields[name]) result.others.push(problem);
    else result.fields[name] = problem;
  }
  return result;
}

export function problemsIn(error: unknown): FieldProblem[] {
  return error instanceof ApiError ? error.errors : [];
}
