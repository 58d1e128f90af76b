import type { AnyModel, AnyWidget } from "@anywidget/types";
import { render } from "preact";
import { Panel } from "./components/panel";
import { PanelStore } from "./state";
import { AnywidgetTransport } from "./transport";

/** The anywidget adapter: one store for each model, one tree for each view. */
const widget: AnyWidget = () => {
  let store: PanelStore | undefined;
  const open = (model: AnyModel) => {
    store ??= new PanelStore(new AnywidgetTransport(model));
    return store;
  };
  return {
    initialize({ model }) {
      open(model);
      return () => {
        store?.dispose();
        store = undefined;
      };
    },
    render({ model, el }) {
      render(<Panel store={open(model)} />, el);
      return () => render(null, el);
    },
  };
};

export default widget;
