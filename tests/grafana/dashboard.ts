// What dashboard.schema.json was made of: Grafana's own types (npm @grafana/schema 13.2.3, Apache-2.0) of a dashboard and of
// the panels that ours has. Made anew, in a folder with both packages, by
//   npx ts-json-schema-generator@2.10.0 --path dashboard.ts --type Checked --tsconfig tsconfig.json --no-type-check
// with "moduleResolution": "node", and "description", "default" and "deprecated" left out of what comes.
import { Dashboard, Panel, RowPanel, FieldConfig, FieldConfigSource } from './node_modules/@grafana/schema/dist/types/raw/dashboard/x/types.gen';
import * as TimeSeries from './node_modules/@grafana/schema/dist/types/raw/composable/timeseries/panelcfg/x/types.gen';
import * as Table from './node_modules/@grafana/schema/dist/types/raw/composable/table/panelcfg/x/types.gen';
import * as Heatmap from './node_modules/@grafana/schema/dist/types/raw/composable/heatmap/panelcfg/x/types.gen';
import * as BarGauge from './node_modules/@grafana/schema/dist/types/raw/composable/bargauge/panelcfg/x/types.gen';
import * as StateTimeline from './node_modules/@grafana/schema/dist/types/raw/composable/statetimeline/panelcfg/x/types.gen';

// An option that is left out has Grafana's default; one that Grafana does not know is refused.
type Deep<X> = X extends (infer E)[] ? Deep<E>[] : X extends object ? { [K in keyof X]?: Deep<X[K]> } : X;
type Of<K extends string, O, F> = Omit<Panel, 'type' | 'options' | 'fieldConfig'> & {
  type: K;
  options: Deep<O>;
  fieldConfig: Omit<FieldConfigSource, 'defaults'> & { defaults: Omit<FieldConfig, 'custom'> & { custom?: Deep<F> } };
};
export type Checked = Omit<Dashboard, 'panels'> & {
  panels: (
    | RowPanel
    | Of<'timeseries', TimeSeries.Options, TimeSeries.FieldConfig>
    | Of<'table', Table.Options, Table.FieldConfig>
    | Of<'heatmap', Heatmap.Options, Heatmap.FieldConfig>
    | Of<'bargauge', BarGauge.Options, {}>
    | Of<'state-timeline', StateTimeline.Options, StateTimeline.FieldConfig>
  )[];
};
