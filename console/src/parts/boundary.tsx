import { Component, type ComponentChildren } from "preact";
import { ErrorNote } from "./feedback";

/** Shows an error of a view in its place, so that the menu stays usable. */
export class Boundary extends Component<{ children: ComponentChildren }, { error?: unknown }> {
  static override getDerivedStateFromError(error: unknown) {
    return { error };
  }

  override render() {
    if (this.state.error === undefined) return this.props.children;
    return (
      <div class="page">
        <ErrorNote error={this.state.error} onRetry={() => location.reload()} />
      </div>
    );
  }
}
