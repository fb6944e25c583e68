import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

interface FieldProps {
  readonly label: string;
  readonly name: string;
  readonly value?: string | undefined;
  readonly hint?: string;
  readonly isNumber?: boolean;
  readonly isRequired?: boolean;
  readonly lengthMax?: number;
}

/** A line of text with its label. */
export function Field(props: FieldProps) {
  const { label, name, value = "", hint, isRequired = false, isNumber = false, lengthMax } = props;
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        type="text"
        {...{ id, name, required: isRequired, autocomplete: "off", spellcheck: false, autocapitalize: "none" }}
        {...(isNumber && { inputMode: "numeric" as const, pattern: "\\d+" })}
        {...(lengthMax !== undefined && { maxLength: lengthMax })}
        {...(hint !== undefined && { "aria-describedby": `${id}-hint` })}
        defaultValue={value}
      />
      {hint !== undefined && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

interface ChoiceProps {
  readonly label: string;
  readonly name: string;
  readonly value: string;
  readonly options: readonly (readonly [value: string, label: string])[];
  onChoose?(value: string): void;
}

export function Choice({ label, name, value, options, onChoose }: ChoiceProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select id={id} name={name} value={value} onChange={(event) => onChoose?.(event.currentTarget.value)}>
        {options.map(([option, text]) => (
          <option key={option} value={option}>
            {text}
          </option>
        ))}
      </select>
    </div>
  );
}

interface AreaProps {
  readonly label: string;
  readonly name: string;
  readonly problem: string;
  readonly hint: string;
}

/** Several lines of text with their label, and what is wrong with them. */
export function Area({ label, name, problem, hint }: AreaProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <textarea
        {...{ id, name, rows: 4, spellcheck: false, "aria-invalid": problem !== "" }}
        aria-describedby={`${id}-hint ${id}-problem`}
      />
      <p class="hint" id={`${id}-hint`}>
        {hint}
      </p>
      <p class="problem" id={`${id}-problem`} role="alert">
        {problem}
      </p>
    </div>
  );
}

interface GroupProps {
  readonly label: string;
  readonly children: ComponentChildren;
}

export function Group({ label, children }: GroupProps) {
  return (
    <fieldset>
      <legend>{label}</legend>
      {children}
    </fieldset>
  );
}

/** The text of a field of a form. */
export function textOf(form: FormData, name: string): string {
  const value = form.get(name);
  return typeof value === "string" ? value : "";
}
