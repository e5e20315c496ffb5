package main

import (
	"context"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Beacon is a kind of this program's own: so many lamps of a colour, which a Deployment stands for.
type Beacon struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              BeaconSpec   `json:"spec,omitempty"`
	Status            BeaconStatus `json:"status,omitempty"`
}

type BeaconSpec struct {
	Lamps  int32  `json:"lamps,omitempty"`
	Colour string `json:"colour,omitempty"`
}

type BeaconStatus struct {
	Lit        int32              `json:"lit"`
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

type BeaconList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Beacon `json:"items"`
}

var beacons = schema.GroupVersion{Group: "clients.seaway.dev", Version: "v1"}

func (b *Beacon) DeepCopyObject() runtime.Object {
	other := *b
	other.ObjectMeta = *b.ObjectMeta.DeepCopy()
	other.Status.Conditions = append([]metav1.Condition(nil), b.Status.Conditions...)
	return &other
}

func (l *BeaconList) DeepCopyObject() runtime.Object {
	other := *l
	other.ListMeta = *l.ListMeta.DeepCopy()
	other.Items = make([]Beacon, 0, len(l.Items))
	for i := range l.Items {
		other.Items = append(other.Items, *l.Items[i].DeepCopyObject().(*Beacon))
	}
	return &other
}

func addBeacons(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(beacons, &Beacon{}, &BeaconList{})
	metav1.AddToGroupVersion(scheme, beacons)
	return nil
}

// definition is the Beacon as a CustomResourceDefinition: defaults, limits, a rule, status and scale.
func definition() *apiextensionsv1.CustomResourceDefinition {
	object := func(properties map[string]apiextensionsv1.JSONSchemaProps) apiextensionsv1.JSONSchemaProps {
		return apiextensionsv1.JSONSchemaProps{Type: "object", Properties: properties}
	}
	text := apiextensionsv1.JSONSchemaProps{Type: "string"}
	condition := object(map[string]apiextensionsv1.JSONSchemaProps{"type": text, "status": text, "reason": text, "message": text,
		"lastTransitionTime": {Type: "string", Format: "date-time"}, "observedGeneration": {Type: "integer", Format: "int64"}})
	condition.Required = []string{"type", "status"}
	spec := object(map[string]apiextensionsv1.JSONSchemaProps{
		"lamps":  {Type: "integer", Format: "int32", Minimum: ptr(1.0), Maximum: ptr(9.0), Default: &apiextensionsv1.JSON{Raw: []byte("1")}},
		"colour": {Type: "string", Enum: []apiextensionsv1.JSON{{Raw: []byte(`"red"`)}, {Raw: []byte(`"green"`)}}, Default: &apiextensionsv1.JSON{Raw: []byte(`"red"`)}},
	})
	spec.XValidations = apiextensionsv1.ValidationRules{{Rule: "self.colour != 'green' || self.lamps <= 5", Message: "at most five green lamps"}}
	whole := object(map[string]apiextensionsv1.JSONSchemaProps{
		"spec": spec,
		"status": object(map[string]apiextensionsv1.JSONSchemaProps{
			"lit": {Type: "integer", Format: "int32"},
			"conditions": {Type: "array", XListType: ptr("map"), XListMapKeys: []string{"type"},
				Items: &apiextensionsv1.JSONSchemaPropsOrArray{Schema: &condition}},
		}),
	})
	return &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "beacons." + beacons.Group},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: beacons.Group, Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "beacons", Singular: "beacon", Kind: "Beacon", ShortNames: []string{"bcn"}, Categories: []string{"all"}},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: beacons.Version, Served: true, Storage: true,
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &whole},
				Subresources: &apiextensionsv1.CustomResourceSubresources{
					Status: &apiextensionsv1.CustomResourceSubresourceStatus{},
					Scale:  &apiextensionsv1.CustomResourceSubresourceScale{SpecReplicasPath: ".spec.lamps", StatusReplicasPath: ".status.lit"},
				},
				AdditionalPrinterColumns: []apiextensionsv1.CustomResourceColumnDefinition{{Name: "Lit", Type: "integer", JSONPath: ".status.lit"}},
				SelectableFields:         []apiextensionsv1.SelectableField{{JSONPath: ".spec.colour"}},
			}},
		},
	}
}

// installBeacons creates the definition and waits until it is established.
func installBeacons(ctx context.Context, w *World) error {
	client := apiextensions.NewForConfigOrDie(w.config).ApiextensionsV1().CustomResourceDefinitions()
	if _, err := client.Create(ctx, definition(), metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	return until(ctx, "the definition is established", func() (bool, error) {
		found, err := client.Get(ctx, "beacons."+beacons.Group, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		for _, condition := range found.Status.Conditions {
			if condition.Type == apiextensionsv1.Established && condition.Status == apiextensionsv1.ConditionTrue {
				kept := found.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
				return true, expect(string(kept.Properties["lamps"].Default.Raw) == "1" && len(kept.XValidations) == 1, "what was sent is there: %v", kept)
			}
		}
		return false, nil
	})
}
